const element = (id) => document.getElementById(id);

// A row of the table of objects.
function objectRow(item) {
  const row = document.createElement('tr');
  const numbers = (values, digits, joint) => values ? values.map((one) => one.toFixed(digits).replace('-', '\u2212')).join(joint) : '\u2013';
  const texts = [item.name, item.score.toFixed(2), numbers(item.size, 2, ' \u00d7 '), numbers(item.place, 2, ', '), numbers(item.velocity, 2, ', ')];
  texts.forEach((text, column) => {
    const cell = row.insertCell();
    cell.textContent = text;
    if (column) cell.className = 'number';
  });
  const mark = document.createElement('i');
  mark.style.background = `rgb(${item.color.join(' ')})`;
  row.cells[0].prepend(mark);
  return row;
}
