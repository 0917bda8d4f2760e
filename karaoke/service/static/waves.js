// Waveforms from the peaks that the server counted; what was heard is in the stem's colour.

const BAR = 3;

export function unpack(peaks) {
  const stems = {};
  for (const [name, text] of Object.entries(peaks.stems)) {
    const bytes = atob(text);
    const heights = new Float32Array(bytes.length / 2);
    for (let index = 0; index < heights.length; index += 1) {
      const low = (bytes.charCodeAt(index * 2) << 24) >> 24;
      const high = (bytes.charCodeAt(index * 2 + 1) << 24) >> 24;
      heights[index] = Math.max(-low, high) / 127;
    }
    stems[name] = heights;
  }
  return { perSecond: peaks.per_second, stems };
}

export class Wave {
  constructor(canvas) {
    this.canvas = canvas;
    this.heights = null;
    this.bars = [];
    this.played = 0;
    this.loop = null;
    this.watcher = new ResizeObserver(() => this.measure());
    this.watcher.observe(canvas);
    this.scheme = matchMedia("(prefers-color-scheme: light)");
    this.onscheme = () => this.draw();
    this.scheme.addEventListener("change", this.onscheme);
  }

  setHeights(heights) {
    this.heights = heights;
    this.measure();
  }

  measure() {
    const { clientWidth, clientHeight } = this.canvas;
    const ratio = Math.min(3, window.devicePixelRatio || 1);
    this.canvas.width = Math.max(1, Math.round(clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(clientHeight * ratio));
    this.ratio = ratio;
    const count = Math.max(1, Math.floor(clientWidth / BAR));
    const heights = this.heights || new Float32Array(1);
    this.bars = Array.from({ length: count }, (_, bar) => {
      const from = Math.floor((bar * heights.length) / count);
      const to = Math.max(from + 1, Math.floor(((bar + 1) * heights.length) / count));
      return heights.subarray(from, to).reduce((most, value) => Math.max(most, value), 0);
    });
    const loudest = this.bars.reduce((most, value) => Math.max(most, value), 0.05);
    this.bars = this.bars.map((value) => value / loudest);
    this.draw();
  }

  // `played`, `loop.start` and `loop.end` are shares of the song.
  setPlayed(played, loop) {
    const changed =
      Math.floor(played * this.bars.length) !== Math.floor(this.played * this.bars.length) ||
      loop?.start !== this.loop?.start ||
      loop?.end !== this.loop?.end;
    Object.assign(this, { played, loop });
    if (changed) this.draw();
  }

  draw() {
    const pen = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    const style = getComputedStyle(this.canvas);
    pen.clearRect(0, 0, width, height);
    if (this.loop) {
      pen.fillStyle = style.getPropertyValue("--loop");
      pen.fillRect(this.loop.start * width, 0, (this.loop.end - this.loop.start) * width, height);
    }
    const step = BAR * this.ratio;
    const done = Math.floor(this.played * this.bars.length);
    this.bars.forEach((value, bar) => {
      pen.fillStyle = bar < done ? style.color : style.getPropertyValue("--unplayed");
      const tall = Math.max(this.ratio, value * height * 0.92);
      pen.fillRect(bar * step, (height - tall) / 2, step * 0.6, tall);
    });
    pen.fillStyle = style.getPropertyValue("--text");
    pen.fillRect(
      Math.min(width - 2 * this.ratio, this.played * width),
      height * 0.08,
      1.5 * this.ratio,
      height * 0.84,
    );
  }

  close() {
    this.watcher.disconnect();
    this.scheme.removeEventListener("change", this.onscheme);
  }
}
