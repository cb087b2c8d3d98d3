// Everything that passed on the line except sound, newest last, with a filter.

import { Follower, find, h } from './dom.js';

const LIMIT = 500;
// They come ten times a second while the agent speaks, and say little to a reader.
const RECEIPTS = new Set(['played', 'show spoken']);
const PRIVATE = new Set(['token', 'resume']);

/** `user: quiet, at: 3.1`: as a person would jot it down. */
function jotted(fields) {
  return Object.entries(fields)
    .map(([name, value]) => {
      if (PRIVATE.has(name)) return `${name}: …`;
      return `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`;
    })
    .join(', ');
}

export class LogView {
  #entries = []; // {at, from, kind, text}
  #list = find('log');
  #follower = new Follower(this.#list);
  #filter = find('log-filter');
  #receipts = find('log-receipts');
  #count = find('log-count');
  #began = performance.now();

  constructor() {
    this.#filter.addEventListener('input', () => this.#redraw());
    this.#receipts.addEventListener('change', () => this.#redraw());
    find('log-copy').addEventListener('click', () => this.#copy());
  }

  get length() {
    return this.#entries.length;
  }

  /** @param {'page' | 'server'} from who said it */
  add(from, message) {
    const { type, what, ...rest } = message;
    const kind = what ? `${type} ${what}` : type;
    const at = (performance.now() - this.#began) / 1000;
    const entry = { at, from, kind, text: jotted(rest) };
    this.#entries.push(entry);
    if (this.#entries.length > LIMIT) this.#entries.shift();
    if (this.#wants(entry)) {
      this.#append(entry);
      while (this.#list.childElementCount > LIMIT) this.#list.firstElementChild.remove();
    }
    this.#tell();
  }

  /** Every word of the filter must be in the entry; a word after a minus must not. */
  #wants(entry) {
    if (RECEIPTS.has(entry.kind) && !this.#receipts.checked) return false;
    const all = `${entry.from} ${entry.kind} ${entry.text}`.toLowerCase();
    const words = this.#filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    return words.every((word) =>
      word.startsWith('-') && word.length > 1 ? !all.includes(word.slice(1)) : all.includes(word),
    );
  }

  #append(entry) {
    const arrow = entry.from === 'page' ? '→' : '←';
    this.#list.append(
      h(
        'li',
        { class: entry.from },
        h('time', {}, entry.at.toFixed(2)),
        h('span', { class: 'arrow', 'aria-label': `from the ${entry.from}`, role: 'img' }, arrow),
        h('b', {}, entry.kind),
        h('span', { class: 'body' }, entry.text),
      ),
    );
    this.#follower.grown();
  }

  #redraw() {
    this.#list.replaceChildren();
    for (const entry of this.#entries.filter((one) => this.#wants(one))) this.#append(entry);
    this.#tell();
  }

  #tell() {
    this.#count.textContent = `${this.#list.childElementCount} of ${this.#entries.length}`;
  }

  async #copy() {
    const lines = this.#entries
      .filter((entry) => this.#wants(entry))
      .map((entry) => `${entry.at.toFixed(3)}\t${entry.from}\t${entry.kind}\t${entry.text}`);
    await navigator.clipboard.writeText(lines.join('\n'));
    this.#count.textContent = `${lines.length} copied`;
  }
}
