// One <audio> element holds all stems as channels, so that they cannot drift and a phone keeps no
// decoded song in memory: voice in channels 0 and 1, band in 2 and 3.

import { ApiError, NetworkError, ROOT, failure } from "./api.js";
import { OFF_DB, gainOf } from "./music.js";

export const STEMS = ["vocals", "instrumental"];
const FADE_SECONDS = 0.03;
const QUIET = 1e-4;

let separate = null;

// Some browsers play Opus, but mix four channels down to two while they decode.
function keepsChannels() {
  separate ??= probe().catch(() => false);
  return separate;
}

async function probe() {
  if ((sessionStorage.getItem("karaoke.mixed") || localStorage.getItem("karaoke.mixed")) === "yes")
    return false;
  if (!new Audio().canPlayType('audio/ogg; codecs="opus"')) return false;
  const sound = await (await fetch("/static/probe.opus")).arrayBuffer();
  const decoded = await new OfflineAudioContext(4, 4800, 48000).decodeAudioData(sound);
  if (decoded.numberOfChannels !== 4) return false;
  const loudest = (channel) =>
    decoded.getChannelData(channel).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return loudest(0) > 0.01 && loudest(2) < 0.01 * loudest(0);
}

export class Player extends EventTarget {
  constructor(song) {
    super();
    this.song = song;
    this.adopt(new Audio());
    this.context = null;
    this.gains = {};
    this.meters = {};
    this.mixed = false;
    this.key = 0;
    this.tempo = 1;
    this.wantedKey = 0;
    this.loop = null;
    this.levels = Object.fromEntries(
      STEMS.map((stem) => [stem, { db: 0, muted: false, solo: false }]),
    );
    this.offset = Number(localStorage.getItem("karaoke.offset")) || 0;
  }

  adopt(element) {
    this.element = element;
    element.preload = "auto";
    for (const name of ["play", "pause", "seeked", "durationchange", "ended", "waiting", "playing"])
      element.addEventListener(name, () => this.tell(name));
    element.addEventListener(
      "error",
      () => element === this.element && element.getAttribute("src") && this.report(),
    );
  }

  tell(name = "change", detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
    if (name !== "change" && name !== "notice") this.dispatchEvent(new CustomEvent("change"));
  }

  async load() {
    this.mixed = !(await keepsChannels());
    this.element.src = this.address();
    this.tell("ready");
  }

  address(key = this.key) {
    const path = `${ROOT}/songs/${encodeURIComponent(this.song.id)}`;
    if (!this.mixed) return `${path}/player.opus${key ? `?key=${key}` : ""}`;
    return `${path}/mix.m4a?${this.mixQuery({ key, tempo: 1 })}`;
  }

  // What is heard, as /mix takes it.
  mixQuery({ key = this.key, tempo = this.tempo } = {}) {
    const values = Object.fromEntries(
      STEMS.map((stem) => [stem, this.heardDb(stem) <= OFF_DB ? "off" : this.heardDb(stem)]),
    );
    return new URLSearchParams({ ...values, key, tempo });
  }

  heardDb(stem) {
    const alone = STEMS.some((name) => this.levels[name].solo);
    const { db, muted, solo } = this.levels[stem];
    return muted || (alone && !solo) ? OFF_DB : db;
  }

  get playing() {
    return !this.element.paused;
  }

  get duration() {
    return Number.isFinite(this.element.duration) ? this.element.duration : this.song.seconds;
  }

  get time() {
    return this.element.currentTime;
  }

  // What the ears get now: the sound waits in the system's buffers, and longer in a Bluetooth speaker.
  get heard() {
    if (!this.playing) return this.time;
    const latency = this.context ? this.context.outputLatency || this.context.baseLatency || 0 : 0;
    return this.time - (latency + this.offset / 1000) * this.tempo;
  }

  // Browsers let sound begin only in answer to a press, so the graph is made by the first one.
  wire() {
    if (this.context || this.mixed) return;
    this.context = new (window.AudioContext || window.webkitAudioContext)({
      latencyHint: "playback",
    });
    const source = this.context.createMediaElementSource(this.element);
    source.channelCount = 4;
    source.channelInterpretation = "discrete";
    const splitter = this.context.createChannelSplitter(4);
    source.connect(splitter);
    this.master = this.context.createGain();
    this.master.connect(this.context.destination);
    STEMS.forEach((stem, index) => {
      const pair = this.context.createChannelMerger(2);
      splitter.connect(pair, index * 2, 0);
      splitter.connect(pair, index * 2 + 1, 1);
      this.meters[stem] = this.context.createAnalyser();
      this.gains[stem] = this.context.createGain();
      this.gains[stem].gain.value = gainOf(this.heardDb(stem));
      pair.connect(this.meters[stem]);
      pair.connect(this.gains[stem]).connect(this.master);
    });
    if (navigator.audioSession) navigator.audioSession.type = "playback";
  }

  async play() {
    this.wire();
    if (this.context && this.context.state !== "running") await this.context.resume();
    this.pace();
    if (this.element.ended) this.element.currentTime = this.loop?.start ?? 0;
    await this.element.play().catch((error) => {
      if (error.name === "NotAllowedError")
        this.tell("notice", "The browser wants one more press before it plays.");
    });
  }

  pause() {
    this.element.pause();
  }

  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  seek(seconds) {
    this.element.currentTime = Math.min(Math.max(0, seconds), Math.max(0, this.duration - 0.05));
    this.tell("seeked");
  }

  pace() {
    this.element.preservesPitch = this.element.webkitPreservesPitch = true;
    this.element.defaultPlaybackRate = this.element.playbackRate = this.tempo;
  }

  setTempo(tempo) {
    this.tempo = tempo;
    this.pace();
    this.tell("tempo");
  }

  setOffset(milliseconds) {
    this.offset = milliseconds;
    localStorage.setItem("karaoke.offset", String(milliseconds));
    this.tell("offset");
  }

  setLevel(stem, change) {
    Object.assign(this.levels[stem], change);
    for (const name of STEMS) {
      this.gains[name]?.gain.setTargetAtTime(
        gainOf(this.heardDb(name)),
        this.context.currentTime,
        0.01,
      );
    }
    this.tell("levels");
    if (this.mixed) this.remix();
  }

  // The last of several quick steps counts; the old key plays on while the server makes the new one.
  setKey(semitones) {
    this.wantedKey = semitones;
    this.tell("key");
    clearTimeout(this.keyTimer);
    this.keyTimer = setTimeout(
      () =>
        this.changeKey(semitones).catch((error) => {
          this.wantedKey = this.key;
          this.tell("key");
          this.tell("notice", error);
        }),
      300,
    );
  }

  async changeKey(semitones) {
    if (semitones !== this.key) await made(this.address(semitones));
    if (semitones !== this.wantedKey || this.closed) return;
    this.key = semitones;
    await this.swap();
    this.tell("key");
  }

  remix() {
    clearTimeout(this.mixTimer);
    this.mixTimer = setTimeout(() => this.swap().catch((error) => this.tell("notice", error)), 250);
  }

  async swap() {
    const address = this.address();
    if (this.element.getAttribute("src") === address) return;
    const { playing } = this;
    await this.fade(0);
    if (this.closed) return;
    const time = this.element.currentTime;
    this.element.src = address;
    await once(this.element, "loadedmetadata", "error");
    this.pace();
    this.element.currentTime = time;
    if (playing) await this.play();
    await this.fade(1);
  }

  async fade(level) {
    if (this.context)
      this.master.gain.setTargetAtTime(level, this.context.currentTime, FADE_SECONDS / 3);
    else this.element.volume = level;
    await new Promise((done) => setTimeout(done, FADE_SECONDS * 1000));
  }

  // The probe decodes a file; an element may still mix. A band that should be loud and is silent tells.
  check(expectedBand) {
    if (this.mixed || !this.context || !this.playing || this.checked) return;
    const values = new Float32Array(this.meters.instrumental.fftSize);
    this.meters.instrumental.getFloatTimeDomainData(values);
    const loud = values.some((value) => Math.abs(value) > QUIET);
    if (loud) {
      this.checked = true;
      return;
    }
    if (expectedBand < 0.1) return;
    this.silent = (this.silent || 0) + 1;
    if (this.silent > 90 && this.element.currentTime > 1) this.fallBack();
  }

  fallBack() {
    this.checked = this.mixed = true;
    sessionStorage.setItem("karaoke.mixed", "yes");
    const { element, context } = this;
    this.adopt(new Audio());
    element.pause();
    element.removeAttribute("src");
    context.close();
    Object.assign(this, { context: null, gains: {} });
    this.element.src = this.address();
    this.element.currentTime = element.currentTime;
    this.tell(
      "notice",
      "This browser cannot keep voice and band apart; changes of level now take a moment.",
    );
    this.play();
  }

  async report() {
    const response = await fetch(this.address(), { headers: { Range: "bytes=0-0" } }).catch(
      () => null,
    );
    if (this.closed || !response) return; // the bar at the top says that nobody answers
    const unplayable = {
      message: "This browser cannot play the song.",
      hint: "Try another browser, or download the mix.",
    };
    this.tell("notice", response.ok ? new ApiError(0, unplayable) : await failure(response));
  }

  // After the server was away: an element that failed stays so until it is loaded anew.
  async recover() {
    if (!this.element.error) return;
    const time = this.element.currentTime;
    this.element.load();
    await once(this.element, "loadedmetadata", "error");
    this.element.currentTime = time;
  }

  close() {
    this.closed = true;
    clearTimeout(this.keyTimer);
    clearTimeout(this.mixTimer);
    this.element.pause();
    this.element.removeAttribute("src");
    this.element.load();
    this.context?.close();
  }
}

// Wait until the server has made it: it answers then.
async function made(address) {
  const response = await fetch(address, { headers: { Range: "bytes=0-0" } }).catch(() => {
    throw new NetworkError();
  });
  if (!response.ok) throw await failure(response);
}

function once(target, ...names) {
  return new Promise((resolve) => {
    for (const name of names) target.addEventListener(name, resolve, { once: true });
  });
}
