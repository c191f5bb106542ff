'use strict';
for (const table of document.querySelectorAll('table.sortable')) {
  table.querySelectorAll('thead th').forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const falling = head.getAttribute('aria-sort') === 'ascending';
      table.querySelectorAll('th').forEach((one) => one.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', falling ? 'descending' : 'ascending');
      const key = (row) => row.cells[column].textContent.trim();
      const rows = [...table.tBodies[0].rows].sort((first, second) => {
        const [one, other] = [key(first), key(second)];
        const [number, otherNumber] = [parseFloat(one), parseFloat(other)];
        // Unknown values stand at the end in both directions.
        if (Number.isNaN(number) !== Number.isNaN(otherNumber) && head.className === 'number') {
          return Number.isNaN(number) ? 1 : -1;
        }
        const order = head.className === 'number' && !Number.isNaN(number)
          ? number - otherNumber : one.localeCompare(other);
        return falling ? -order : order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}
const frames = document.getElementById('frames');
if (frames) {
  const [kind, name] = [document.getElementById('kind'), document.getElementById('class')];
  const zoom = document.getElementById('zoom');
  const [image, size] = [document.getElementById('zoom-image'), document.getElementById('zoom-size')];
  const values = (figure) => JSON.parse(figure.dataset.errors)[Number(kind.value)];
  const visible = () => [...frames.children].filter((figure) => !figure.hidden);
  const arrange = () => {
    frames.append(...[...frames.children].sort((one, other) => values(other) - values(one)));
    for (const figure of frames.children) {
      const classes = JSON.parse(figure.dataset.classes);
      figure.hidden = (kind.value !== '0' && values(figure) === 0)
        || (name.value !== '' && !classes.includes(name.value));
    }
    document.getElementById('shown').textContent = `${visible().length} frames`;
  };
  let current = null;
  const show = (figure) => {
    current = figure;
    const picture = figure.querySelector('img');
    [image.src, image.alt] = [picture.src, picture.alt];
    document.getElementById('zoom-name').textContent = figure.querySelector('figcaption').textContent;
    if (!zoom.open) zoom.showModal();
  };
  const enlarge = () => {
    const large = image.classList.toggle('large');
    size.setAttribute('aria-pressed', String(large));
  };
  for (const figure of frames.children) {
    figure.querySelector('button').addEventListener('click', () => show(figure));
  }
  image.addEventListener('click', enlarge);
  size.addEventListener('click', enlarge);
  document.getElementById('zoom-close').addEventListener('click', () => zoom.close());
  zoom.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const figures = visible();
    show(figures[(figures.indexOf(current) + step + figures.length) % figures.length]);
  });
  kind.addEventListener('change', arrange);
  name.addEventListener('change', arrange);
  document.getElementById('controls').hidden = false;
  arrange();
}
