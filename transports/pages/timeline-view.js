// Twenty seconds of both voices: the user above the line, the agent below, cuts as marks.

import { find } from './dom.js';

const WINDOW = 20; // seconds
const PER_SECOND = 50;
const BUCKETS = WINDOW * PER_SECOND;
const BAR = 3; // pixels from one bar to the next
const MARK_LIMIT = 40;
const FLOOR_LIMIT = 400;

// How strongly a floor's state is drawn along the edge; what is not named is not drawn.
const STRENGTH = {
  onset: 0.35, speaking: 1, trailing: 0.35, thinking: 0.25, ducked: 0.6, held: 0.4, protected: 1,
};

export class TimelineView {
  #canvas = find('timeline');
  #context;
  #levels = { user: new Float32Array(BUCKETS), agent: new Float32Array(BUCKETS) };
  #head = 0; // the bucket of the last moment, counted from the page's start
  #marks = []; // {at, text}
  #floors = []; // {at, user, agent}
  #colours = {};

  constructor() {
    this.#context = this.#canvas.getContext('2d');
    const redress = () => this.#readColours();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redress);
    redress();
  }

  /** @param {'user' | 'agent'} who @param {number} level 0 to 1 */
  add(who, level) {
    this.#advance();
    const at = this.#head % BUCKETS;
    this.#levels[who][at] = Math.max(this.#levels[who][at], level);
  }

  mark(text) {
    this.#marks.push({ at: now(), text });
    if (this.#marks.length > MARK_LIMIT) this.#marks.shift();
  }

  /** The last mark learns how long it took from the speech to the silence. */
  label(text) {
    const last = this.#marks.at(-1);
    if (last !== undefined) last.text = text;
  }

  floors({ user, agent }) {
    this.#floors.push({ at: now(), user, agent });
    if (this.#floors.length > FLOOR_LIMIT) this.#floors.shift();
  }

  draw() {
    this.#advance();
    const { width, height } = this.#fit();
    const context = this.#context;
    context.clearRect(0, 0, width, height);
    const middle = Math.round(height / 2);
    this.#drawSeconds(width, height);
    context.fillStyle = this.#colours.rule;
    context.fillRect(0, middle, width, 1);
    this.#drawLane('user', width, middle, -1, this.#colours.user);
    this.#drawLane('agent', width, middle + 1, 1, this.#colours.agent);
    this.#drawFloors(width, height);
    this.#drawMarks(width, height);
  }

  #advance() {
    const head = Math.floor(now() * PER_SECOND);
    const passed = Math.min(BUCKETS, head - this.#head);
    for (let i = 0; i < passed; i += 1) {
      const at = (head - i) % BUCKETS;
      this.#levels.user[at] = 0;
      this.#levels.agent[at] = 0;
    }
    this.#head = head;
  }

  /** Matches the canvas to its place on the screen; sizes in CSS pixels. */
  #fit() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const ratio = devicePixelRatio || 1;
    if (this.#canvas.width !== Math.round(width * ratio)) {
      this.#canvas.width = Math.round(width * ratio);
      this.#canvas.height = Math.round(height * ratio);
    }
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return { width, height };
  }

  #drawLane(who, width, from, direction, colour) {
    const context = this.#context;
    const bars = Math.floor(width / BAR);
    const each = Math.max(1, Math.ceil(BUCKETS / bars));
    const last = Math.floor(this.#head / each);
    const room = from - 8;
    context.fillStyle = colour;
    for (let bar = 0; bar < BUCKETS / each; bar += 1) {
      // Bars hold to whole groups of buckets since the page began, so they move and do not shimmer.
      const first = (last - bar) * each;
      if (first < 0) break;
      let level = 0;
      for (let i = 0; i < each; i += 1) {
        const bucket = first + i;
        if (bucket > this.#head - BUCKETS && bucket <= this.#head) {
          level = Math.max(level, this.#levels[who][bucket % BUCKETS]);
        }
      }
      if (level === 0) continue;
      const length = Math.max(1, room * Math.min(1, Math.sqrt(level) * 1.3));
      const x = this.#x(first / PER_SECOND, width);
      context.fillRect(x, direction < 0 ? from - length : from, BAR - 1, length);
    }
  }

  #drawSeconds(width, height) {
    this.#context.fillStyle = this.#colours.rule;
    const end = this.#head / PER_SECOND;
    for (let at = Math.ceil(end - WINDOW); at <= end; at += 1) {
      const tall = at % 5 === 0 ? 6 : 3;
      this.#context.fillRect(Math.round(this.#x(at, width)), (height - tall) / 2, 1, tall);
    }
  }

  #drawFloors(width, height) {
    const context = this.#context;
    this.#floors.forEach((floor, index) => {
      const from = this.#x(floor.at, width);
      const to = this.#x(this.#floors[index + 1]?.at ?? this.#head / PER_SECOND, width);
      if (to < 0) return;
      for (const [state, y, colour] of [
        [floor.user, 0, this.#colours.user],
        [floor.agent, height - 3, this.#colours.agent],
      ]) {
        context.globalAlpha = STRENGTH[state] ?? 0;
        context.fillStyle = colour;
        context.fillRect(from, y, to - from, 3);
      }
    });
    context.globalAlpha = 1;
  }

  #drawMarks(width, height) {
    const context = this.#context;
    context.font = `600 11px ${this.#colours.font}`;
    context.textBaseline = 'top';
    for (const { at, text } of this.#marks) {
      const x = Math.round(this.#x(at, width));
      if (x < 0) continue;
      context.fillStyle = this.#colours.ink;
      context.fillRect(x, 6, 1, height - 12);
      const wide = context.measureText(text).width;
      const left = Math.min(x + 5, width - wide - 2);
      context.fillStyle = this.#colours.paper;
      context.fillRect(left - 2, height - 20, wide + 4, 14);
      context.fillStyle = this.#colours.ink;
      context.fillText(text, left, height - 19);
    }
  }

  #x(at, width) {
    return width * (1 - (this.#head / PER_SECOND - at) / WINDOW);
  }

  #readColours() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.#colours = {
      user: colour('ink-soft'),
      agent: colour('accent'),
      rule: colour('rule'),
      ink: colour('ink'),
      paper: colour('paper'),
      font: style.fontFamily,
    };
  }
}

const now = () => performance.now() / 1000;
