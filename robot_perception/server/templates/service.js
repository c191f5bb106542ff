const view = new CloudView(element('cloud'));
const PERIOD_MS = 40;
const TURN = 0.006;
let result = null;
let kind = 'objects';
let camera = null;
let turning = null;
// The image that is shown.
let photo = null;

// Send an image and show what comes back; return whether that worked.
async function send(image, name) {
  report(camera ? '' : `Processing ${name} …`);
  try {
    const answer = await post('v1/scene', {image, format: 'page'});
    const data = await answer.json();
    if (!answer.ok) {
      report(data.detail, true);
      return false;
    }
    if (data.cloud) data.cloud = await decodeCloud(data.cloud);
    photo = image;
    show(data, name);
    return true;
  } catch (error) {
    report(`The service does not answer (${error.message}).`, true);
    return false;
  }
}

// Send a form with some fields.
function post(path, fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  const token = element('token') && element('token').value.trim();
  return fetch(path, {method: 'POST', body: form, headers: token ? {Authorization: `Bearer ${token}`} : {}});
}

// Ask about the image that is shown.
async function ask(event) {
  event.preventDefault();
  const output = element('answer');
  element('ask-button').disabled = true;
  output.textContent = 'Answering …';
  output.classList.remove('problem');
  try {
    const answer = await post('v1/ask', {image: photo, question: element('question').value});
    const data = await answer.json();
    output.textContent = answer.ok ? [data.answer, ...data.objects.map((item) => `${item.class_name}: ${item.box_xyxy.map(Math.round).join(', ')}`)].join(' · ') : data.detail;
    output.classList.toggle('problem', !answer.ok);
  } catch (error) {
    output.textContent = `The service does not answer (${error.message}).`;
    output.classList.add('problem');
  }
  element('ask-button').disabled = false;
}

function report(text, isProblem = false) {
  element('status').textContent = text;
  element('status').classList.toggle('problem', isProblem);
}

function show(data, name) {
  result = data;
  report(`${name}: ${data.summary}`);
  element('result').hidden = false;
  showPicture();
  const nothing = !data.cloud && !data.objects.some((item) => item.corners);
  element('cloud-figure').classList.toggle('empty', nothing);
  element('cloud-text').textContent = nothing ? 'There is no metric depth.' : 'Drag to turn.';
  view.show(data);
  element('objects').tBodies[0].replaceChildren(...data.objects.map(objectRow));
  element('times').textContent = data.times.map(([stage, ms]) => `${stage} ${ms} ms`).join(' · ');
}

function showPicture() {
  const button = (name) => document.querySelector(`[data-kind=${name}]`);
  for (const one of document.querySelectorAll('[data-kind]')) one.hidden = !(one.dataset.kind in result.pictures);
  if (!(kind in result.pictures)) kind = 'objects';
  for (const one of document.querySelectorAll('[data-kind]')) one.setAttribute('aria-pressed', one.dataset.kind === kind);
  const words = kind === 'objects' ? result.summary : '';
  const picture = element('picture');
  picture.src = result.pictures[kind];
  picture.alt = words ? `Objects: ${words}` : button(kind).textContent;
  picture.style.aspectRatio = result.size.join(' / ');
  element('picture-name').textContent = button(kind).textContent;
  element('summary').textContent = words;
  element('legend').hidden = kind !== 'depth';
  element('near').textContent = result.range ? `${result.range[0].toFixed(2)} m` : 'near';
  element('far').textContent = result.range ? `${result.range[1].toFixed(2)} m` : 'far, no unit';
}

async function useCamera() {
  if (camera) return stopCamera();
  if (!navigator.mediaDevices) return report('Browsers allow the webcam on https and on localhost only.', true);
  const video = element('video');
  try {
    camera = await navigator.mediaDevices.getUserMedia({video: {width: {ideal: 640}, height: {ideal: 480}}});
  } catch (error) {
    return report(`The webcam cannot be used (${error.message}).`, true);
  }
  video.srcObject = camera;
  video.hidden = false;
  element('webcam').textContent = 'Stop the webcam';
  element('webcam').setAttribute('aria-pressed', 'true');
  await video.play();
  const canvas = document.createElement('canvas');
  // One frame at a time: the next one is taken when the result of the last is shown.
  while (camera) {
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext('2d').drawImage(video, 0, 0);
    const frame = await new Promise((done) => canvas.toBlob(done, 'image/jpeg', 0.9));
    if (!camera) return;
    if (!await send(frame, 'webcam')) return stopCamera();
  }
}

function stopCamera() {
  for (const track of camera ? camera.getTracks() : []) track.stop();
  camera = null;
  element('video').hidden = true;
  element('video').srcObject = null;
  element('webcam').textContent = 'Use the webcam';
  element('webcam').setAttribute('aria-pressed', 'false');
}

function turn(on) {
  clearInterval(turning);
  turning = on ? setInterval(() => {
    view.yaw += TURN;
    view.request();
  }, PERIOD_MS) : null;
  element('turn').setAttribute('aria-pressed', on);
}

function open(files) {
  stopCamera();
  if (element('answer')) element('answer').textContent = '';
  if (files.length) send(files[0], files[0].name);
}

const drop = element('drop');
element('file').onchange = (event) => {
  open(event.target.files);
  // The same file may be chosen again.
  event.target.value = '';
};
element('webcam').onclick = useCamera;
if (element('ask')) element('ask').onsubmit = ask;
for (const name of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle('over', name === 'dragenter' || name === 'dragover');
    if (name === 'drop') open(event.dataTransfer.files);
  });
}
document.addEventListener('paste', (event) => open(event.clipboardData.files));
for (const button of document.querySelectorAll('[data-kind]')) {
  button.onclick = () => {
    kind = button.dataset.kind;
    showPicture();
  };
}
for (const button of document.querySelectorAll('[data-view]')) {
  button.onclick = () => {
    turn(false);
    view.turnTo(button.dataset.view);
  };
}
for (const button of document.querySelectorAll('[data-zoom]')) button.onclick = () => view.scale(Number(button.dataset.zoom));
element('turn').onclick = () => turn(!turning);
element('cloud').addEventListener('pointerdown', () => turn(false));
if (!matchMedia('(prefers-reduced-motion: reduce)').matches) turn(true);
