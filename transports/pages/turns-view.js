// How long each turn took, as bars of stacked parts, newest first.

import { find, h } from './dom.js';

const SHOWN = 12;
const TINTS = 6;

const words = (name) => name.replace(/_ms$/, '').replaceAll('_', ' ');
const ms = (value) => `${Math.round(value)} ms`;

export class TurnsView {
  #list = find('turns');
  #empty = find('turns-empty');
  #tints = new Map(); // tint number by part name: a part keeps its tint through the call

  draw(turns) {
    const shown = turns.slice(-SHOWN).reverse();
    this.#empty.hidden = shown.length > 0;
    const longest = Math.max(1000, ...shown.map((turn) => turn.total_ms));
    this.#list.replaceChildren(...shown.map((turn, index) => this.#row(turn, longest, index === 0)));
  }

  #row(turn, longest, newest) {
    const parts = Object.entries(turn.parts_ms);
    const bar = h('span', {
      class: 'bar',
      role: 'img',
      'aria-label': parts.map(([name, value]) => `${words(name)} ${ms(value)}`).join(', '),
    });
    for (const [name, value] of parts) {
      const title = `${words(name)} ${ms(value)}`;
      const part = h('span', { class: `part tint-${this.#tint(name)}`, title });
      part.style.width = `${(100 * value) / longest}%`;
      bar.append(part);
    }
    const bargeIn = turn.barge_in_ms;
    const row = h(
      'li',
      { class: 'turn' },
      h('span', { class: 'number' }, `Turn ${turn.turn}`),
      bar,
      h('span', { class: 'total' }, ms(turn.total_ms)),
    );
    if (bargeIn !== null) {
      row.append(h('span', { class: 'barge-in' }, `barge-in: silent after ${ms(bargeIn)}`));
    }
    if (newest) row.append(this.#legend(parts));
    return row;
  }

  #legend(parts) {
    return h(
      'ul',
      { class: 'legend' },
      ...parts.map(([name, value]) =>
        h('li', {}, h('span', { class: `key tint-${this.#tint(name)}` }), `${words(name)} `,
          h('b', {}, ms(value))),
      ),
    );
  }

  #tint(name) {
    if (!this.#tints.has(name)) this.#tints.set(name, this.#tints.size % TINTS);
    return this.#tints.get(name);
  }
}
