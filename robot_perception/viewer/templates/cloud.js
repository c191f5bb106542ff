// A point cloud with boxes, drawn on a canvas without a graphics driver.
const EDGES = [[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [3, 7], [4, 5], [4, 6], [5, 7], [6, 7]];
const VIEWS = {start: [-0.42, 0.3], front: [0, 0], side: [-1.35, 0.12], top: [0, 1.45]};
const BACKGROUND = 0xff1f1a18;

class CloudView {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    [this.yaw, this.pitch] = VIEWS.start;
    this.zoom = 1;
    this.middle = null;
    this.pointers = new Map();
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, event);
    });
    canvas.addEventListener('pointermove', (event) => this.drag(event));
    for (const name of ['pointerup', 'pointercancel']) {
      canvas.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener('wheel', (event) => {
      // Without a focus the wheel scrolls the page.
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      this.scale(Math.exp(event.deltaY * 0.001));
    }, {passive: false});
    canvas.addEventListener('dblclick', () => this.turnTo('start'));
    new ResizeObserver(() => this.request()).observe(canvas);
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const others = [...this.pointers.values()].filter((one) => one.pointerId !== event.pointerId);
    if (others.length) {
      const distance = (one) => Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY);
      this.scale(distance(before) / Math.max(distance(event), 1));
    } else {
      this.yaw -= (event.clientX - before.clientX) * 0.008;
      this.pitch = Math.max(-1.5, Math.min(1.5, this.pitch + (event.clientY - before.clientY) * 0.008));
      this.request();
    }
    this.pointers.set(event.pointerId, event);
  }

  turnTo(name) {
    [this.yaw, this.pitch] = VIEWS[name];
    this.zoom = 1;
    this.request();
  }

  scale(factor) {
    this.zoom = Math.max(0.1, Math.min(5, this.zoom * factor));
    this.request();
  }

  show(frame) {
    this.frame = frame;
    const middle = middleOf(frame);
    // The viewpoint stays from frame to frame, but for a scene at another place.
    const moved = this.middle && Math.hypot(...middle.map((one, n) => one - this.middle[n]));
    if (!this.middle || moved > 0.3 * middle[2]) this.middle = middle;
    this.request();
  }

  request() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  draw() {
    const {canvas, context} = this;
    const ratio = Math.min(window.devicePixelRatio || 1, 2, 1400 / Math.max(canvas.clientWidth, 1));
    const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    if (canvas.width !== width || canvas.height !== height || !this.picture) {
      [canvas.width, canvas.height] = [width, height];
      this.picture = context.createImageData(width, height);
      this.pixels = new Uint32Array(this.picture.data.buffer);
      this.nearest = new Float32Array(width * height);
    }
    this.pixels.fill(BACKGROUND);
    if (!this.frame) return context.putImageData(this.picture, 0, 0);
    if (this.frame.cloud) this.drawPoints(width, height);
    context.putImageData(this.picture, 0, 0);
    this.drawBoxes(width, height, ratio);
  }

  // From the optical frame of the camera to that of the viewer, who turns about a point before the camera.
  rotation() {
    const [sy, cy, sp, cp] = [Math.sin(this.yaw), Math.cos(this.yaw), Math.sin(this.pitch), Math.cos(this.pitch)];
    return [cy, 0, -sy, sp * sy, cp, sp * cy, cp * sy, -sp, cp * cy];
  }

  focal(width, height) {
    const {tangent} = this.frame.cloud || {tangent: [0.6, 0.45]};
    return 0.5 * Math.min(width / tangent[0], height / tangent[1]);
  }

  drawPoints(width, height) {
    const {pixels, nearest} = this;
    const {count, x, y, z, color, spacing} = this.frame.cloud;
    const [a, , c, d, e, f, g, h, i] = this.rotation();
    const focal = this.focal(width, height);
    const [pivotX, pivotY, pivotZ] = this.middle;
    const distance = pivotZ * this.zoom;
    const [middleX, middleY] = [width / 2, height / 2];
    nearest.fill(Infinity);
    for (let n = 0; n < count; n++) {
      const [right, down, forward] = [x[n] - pivotX, y[n] - pivotY, z[n] - pivotZ];
      const depth = g * right + h * down + i * forward + distance;
      if (depth < 0.02 * distance) continue;
      const perspective = focal / depth;
      const side = Math.max(1, Math.min(12, Math.ceil(1.3 * spacing * z[n] * perspective)));
      const column = Math.round(middleX + (a * right + c * forward) * perspective - side / 2);
      const row = Math.round(middleY + (d * right + e * down + f * forward) * perspective - side / 2);
      const [lastColumn, lastRow] = [Math.min(column + side, width), Math.min(row + side, height)];
      for (let v = Math.max(row, 0); v < lastRow; v++) {
        for (let at = v * width + Math.max(column, 0), end = v * width + lastColumn; at < end; at++) {
          if (depth < nearest[at]) {
            nearest[at] = depth;
            pixels[at] = color[n];
          }
        }
      }
    }
  }

  drawBoxes(width, height, ratio) {
    const {context} = this;
    const [a, , c, d, e, f, g, h, i] = this.rotation();
    const focal = this.focal(width, height);
    const distance = this.middle[2] * this.zoom;
    const project = (corner) => {
      const [x, y, z] = corner.map((one, n) => one - this.middle[n]);
      const depth = g * x + h * y + i * z + distance;
      return depth < 0.02 * distance ? null
        : [width / 2 + (a * x + c * z) * focal / depth, height / 2 + (d * x + e * y + f * z) * focal / depth];
    };
    const outline = (item) => {
      const corners = item.corners.map(project);
      context.beginPath();
      for (const [from, to] of EDGES) {
        if (!corners[from] || !corners[to]) continue;
        context.moveTo(...corners[from]);
        context.lineTo(...corners[to]);
      }
      context.stroke();
      return corners.filter(Boolean);
    };
    context.lineJoin = 'round';
    context.lineWidth = 1.25 * ratio;
    context.setLineDash([4 * ratio, 4 * ratio]);
    context.strokeStyle = 'rgb(255 255 255 / .85)';
    this.frame.truth.filter((item) => item.corners).forEach(outline);
    context.setLineDash([]);
    context.lineWidth = 2 * ratio;
    context.font = `600 ${12 * ratio}px system-ui, sans-serif`;
    context.textBaseline = 'middle';
    const taken = [];
    for (const item of this.frame.objects) {
      if (!item.corners) continue;
      context.strokeStyle = `rgb(${item.color.join(' ')})`;
      const corners = outline(item);
      if (corners.length) this.label(item, corners, ratio, taken);
    }
  }

  label(item, corners, ratio, taken) {
    const {context} = this;
    const [height, pad] = [18 * ratio, 5 * ratio];
    const wide = context.measureText(item.name).width + 2 * pad;
    const left = corners.reduce((sum, one) => sum + one[0], 0) / corners.length - wide / 2;
    let top = Math.min(...corners.map((one) => one[1])) - height - 3 * ratio;
    // Labels that would cover another move up.
    for (let moved = true; moved;) {
      moved = false;
      for (const one of taken) {
        if (left < one.right && left + wide > one.left && top < one.bottom && top + height > one.top) {
          top = one.top - height - ratio;
          moved = true;
        }
      }
    }
    top = Math.max(top, 2 * ratio);
    taken.push({left, right: left + wide, top, bottom: top + height});
    context.fillStyle = 'rgb(20 22 27 / .82)';
    context.beginPath();
    context.roundRect(left, top, wide, height, 4 * ratio);
    context.fill();
    context.fillStyle = `rgb(${item.color.join(' ')})`;
    context.fillRect(left + pad, top + height - 3 * ratio, wide - 2 * pad, 1.5 * ratio);
    context.fillStyle = '#fff';
    context.fillText(item.name, left + pad, top + height / 2 - ratio * 0.5);
  }
}

// Return the point to turn about: amid the objects, or at the median depth.
function middleOf(frame) {
  const places = frame.objects.map((item) => item.place).filter(Boolean);
  if (places.length) return [0, 1, 2].map((n) => places.reduce((sum, one) => sum + one[n], 0) / places.length);
  return [0, 0, frame.cloud ? frame.cloud.depth : 1];
}

// Return coordinates in meters and packed colors of what Python's encode_cloud wrote.
async function decodeCloud(encoded) {
  const bytes = Uint8Array.from(atob(encoded.data), (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  const steps = new Int16Array(await new Response(stream).arrayBuffer());
  const {count, unit_m: unit, spacing} = encoded;
  for (let at = 0; at < steps.length; at++) if (at % count) steps[at] += steps[at - 1];
  const [x, y, z] = [0, 1, 2].map((n) => Float32Array.from(steps.subarray(n * count, (n + 1) * count), (one) => one * unit));
  const color = new Uint32Array(count);
  for (let n = 0; n < count; n++) {
    color[n] = (255 << 24 | steps[5 * count + n] << 16 | steps[4 * count + n] << 8 | steps[3 * count + n]) >>> 0;
  }
  const sorted = (values, share) => Float32Array.from(values).sort()[Math.floor(share * (count - 1))];
  const tangent = [x, y].map((values) => Math.max(0.05, sorted(values.map((one, n) => Math.abs(one / z[n])), 0.98)));
  return {count, x, y, z, color, spacing, tangent, depth: sorted(z, 0.5)};
}
