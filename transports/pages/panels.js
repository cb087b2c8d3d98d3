// The small views: floors, levels, tools.

import { find, h } from './dom.js';

const FLOORS = {
  user: ['quiet', 'onset', 'speaking', 'trailing', 'committed'],
  agent: ['idle', 'thinking', 'speaking', 'ducked', 'held', 'cut', 'protected'],
};

export class FloorsView {
  #lists = { user: find('user-floor'), agent: find('agent-floor') };
  #at = find('floors-at');

  constructor() {
    for (const [who, states] of Object.entries(FLOORS)) {
      this.#lists[who].append(...states.map((state) => h('li', { 'data-state': state }, state)));
    }
  }

  draw(floors) {
    for (const [who, list] of Object.entries(this.#lists)) {
      const state = floors[who];
      // A state that we do not know is still the state: it gets a place of its own.
      if (![...list.children].some((child) => child.dataset.state === state)) {
        list.append(h('li', { 'data-state': state }, state));
      }
      for (const child of list.children) {
        if (child.dataset.state === state) child.setAttribute('aria-current', 'true');
        else child.removeAttribute('aria-current');
      }
    }
    this.#at.textContent = `${floors.at.toFixed(2)} s`;
  }
}

/** A level in 0 to 1 as a bar over 60 dB, falling slowly so that the eye can follow. */
export class Meter {
  #element;
  #bar;
  #shown = 0;

  constructor(id) {
    this.#element = find(id);
    this.#bar = this.#element.firstElementChild;
  }

  draw(level) {
    const decibels = level > 0 ? 20 * Math.log10(level) : -Infinity;
    const part = Math.max(0, Math.min(1, 1 + decibels / 60));
    this.#shown = Math.max(part, this.#shown * 0.85);
    if (this.#shown < 0.01) this.#shown = 0;
    this.#bar.style.transform = `scaleX(${this.#shown.toFixed(3)})`;
    this.#element.setAttribute('aria-valuenow', String(Math.round(part * 100)));
  }
}

export class ToolsView {
  #list = find('tools');
  #empty = find('tools-empty');

  draw(tools) {
    const shown = [...tools.values()].reverse().slice(0, 20);
    this.#empty.hidden = shown.length > 0;
    this.#list.replaceChildren(
      ...shown.map((tool) =>
        h(
          'li',
          { 'data-state': tool.state },
          h('code', {}, tool.name),
          h('span', { class: 'tool-state' }, tool.state),
          h('span', { class: 'tool-detail' }, tool.detail),
        ),
      ),
    );
  }
}
