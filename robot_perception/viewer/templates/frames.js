const view = new CloudView(element('cloud'));
const loaded = new Map();
const MOST_LOADED = 40;
const PERIOD_MS = 160;
let current = 0;
let kind = document.querySelector('[data-kind]').dataset.kind;
let timer = null;

const address = (frame, name) => `${frame.folder.split('/').map(encodeURIComponent).join('/')}/${name}`;

// The picture on a side: its file, who made it and what it contains.
function pictures(frame) {
  const has = (name) => frame.pictures.includes(name);
  const truth = has(`truth_${kind}`);
  const text = (words) => kind === 'objects' ? words : kind;
  return {
    left: has(kind) ? [kind, 'Prediction', text(frame.summary)] : ['image', 'Input image', `no ${kind} in this frame`],
    right: truth ? [`truth_${kind}`, 'Ground truth', text(frame.truth)] : ['image', 'Input image', ''],
  };
}

function show(index) {
  current = Math.max(0, Math.min(FRAMES.length - 1, index));
  const frame = FRAMES[current];
  for (const [side, [file, name, text]] of Object.entries(pictures(frame))) {
    const image = element(side);
    image.src = element(`${side}-link`).href = address(frame, `${file}.jpg`);
    image.alt = text ? `${name}: ${text}` : name;
    image.style.aspectRatio = frame.size.join(' / ');
    image.closest('figure').querySelector('b').textContent = name;
    element(`${side}-text`).textContent = text;
  }
  element('slider').value = current;
  const words = [`${current + 1} of ${FRAMES.length}`, frame.when, /^frame \d+$/.test(frame.name) ? '' : frame.name];
  element('frame-name').textContent = words.filter(Boolean).join(' · ');
  element('slider').setAttribute('aria-valuetext', element('frame-name').textContent);
  for (const button of document.querySelectorAll('[data-kind]')) {
    button.setAttribute('aria-pressed', button.dataset.kind === kind);
  }
  element('legend').hidden = kind !== 'depth';
  if (FRAMES.length > 1) history.replaceState(null, '', `#${current + 1}`);
  load(current);
  const next = FRAMES[current + 1];
  if (next) {
    for (const [file] of Object.values(pictures(next))) new Image().src = address(next, `${file}.jpg`);
    load(current + 1);
  }
}

// Browsers let a page run scripts beside it, but not read other files.
function load(index) {
  if (loaded.has(index)) {
    if (index === current && loaded.get(index)) showData(loaded.get(index));
    return;
  }
  loaded.set(index, null);
  const script = document.createElement('script');
  script.src = address(FRAMES[index], 'frame.js');
  script.onerror = () => {
    loaded.delete(index);
    if (index === current) element('cloud-text').textContent = `The file ${FRAMES[index].folder}/frame.js is missing.`;
  };
  script.onload = () => script.remove();
  document.body.append(script);
}

async function frameLoaded(index, data) {
  if (data.cloud) {
    try {
      data.cloud = await decodeCloud(data.cloud);
    } catch {
      data.cloud = null;
      data.problem = 'This browser cannot decompress the cloud; a newer one can.';
    }
  }
  loaded.set(index, data);
  if (loaded.size > MOST_LOADED) {
    const [far] = [...loaded.keys()].sort((a, b) => Math.abs(b - current) - Math.abs(a - current));
    loaded.delete(far);
  }
  if (index === current) showData(data);
}

function showData(data) {
  const nothing = !data.cloud && !data.objects.some((item) => item.corners);
  element('cloud-figure').classList.toggle('empty', nothing);
  const truth = data.truth.some((item) => item.corners) ? ' Solid boxes: prediction. Dashed: ground truth.' : '';
  element('cloud-text').textContent = data.problem
    || (nothing ? 'This frame has no metric depth or no calibration.' : `Drag to turn.${truth}`);
  view.show(data);
  element('near').textContent = data.range ? `${data.range[0].toFixed(2)} m` : 'near';
  element('far').textContent = data.range ? `${data.range[1].toFixed(2)} m` : 'far, no unit';
  const body = element('objects').tBodies[0];
  body.replaceChildren(...data.objects.map(objectRow));
  element('times').textContent = data.times.map(([stage, ms]) => `${stage} ${ms} ms`).join(' · ');
}

function play(on) {
  clearTimeout(timer);
  timer = null;
  element('play').setAttribute('aria-label', on ? 'Pause' : 'Play');
  element('play').title = on ? 'Pause' : 'Play';
  element('play-icon').setAttribute('d', on ? 'M7 5h4v14H7zM13 5h4v14h-4z' : 'M8 5l11 7-11 7z');
  if (!on) return;
  timer = setTimeout(async () => {
    show((current + 1) % FRAMES.length);
    await Promise.allSettled([element('left').decode(), element('right').decode()]);
    if (timer) play(true);
  }, PERIOD_MS);
}

const step = (by) => {
  play(false);
  show(current + by);
};
element('previous').onclick = () => step(-1);
element('next').onclick = () => step(1);
element('play').onclick = () => play(!timer);
element('slider').oninput = (event) => step(Number(event.target.value) - current);
for (const button of document.querySelectorAll('[data-kind]')) {
  button.onclick = () => {
    kind = button.dataset.kind;
    show(current);
  };
}
for (const button of document.querySelectorAll('[data-view]')) button.onclick = () => view.turnTo(button.dataset.view);
for (const button of document.querySelectorAll('[data-zoom]')) button.onclick = () => view.scale(Number(button.dataset.zoom));
document.addEventListener('keydown', (event) => {
  const steps = {ArrowLeft: -1, ArrowRight: 1, Home: -FRAMES.length, End: FRAMES.length};
  // The slider moves by itself.
  if (event.key in steps && event.target !== element('slider') && !event.altKey && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    step(steps[event.key]);
  }
});
const chosen = Number(location.hash.slice(1)) - 1;
show(chosen >= 0 ? chosen : Math.max(0, FRAMES.findIndex((frame) => frame.cloud)));
