// The small views: floors, levels, tools, the line in numbers.

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

const FACTS = {
  call: 'Call', voice: 'Voice rates', sent: 'Sent', received: 'Received', played: 'Played',
  waiting: 'Waiting', dropped: 'Dropped by a slow network', overflow: 'Cleared, not played',
  comings: 'Connections',
};

const time = (samples, rate) => (rate > 0 ? `${(samples / rate).toFixed(1)} s` : '–');

/** How the line does, in numbers. */
export class FactsView {
  #values = {};

  constructor() {
    for (const [name, label] of Object.entries(FACTS)) {
      this.#values[name] = h('dd', {}, '–');
      find('facts').append(h('dt', {}, label), this.#values[name]);
    }
  }

  /** The one number that a closed panel shows: what was lost to a slow network, if anything. */
  #summary({ call, dropped }) {
    find('line-summary').textContent = dropped.startsWith('0 ') ? call : `${dropped} dropped`;
  }

  /** @param {Line} line @param {Speaker} speaker @param {number} rate of the microphone, in Hz */
  draw({ counters, ready }, speaker, rate) {
    const rateOut = ready?.rate ?? 0;
    const waiting = Math.max(0, Math.round((1000 * speaker.waiting) / rateOut));
    this.#put({
      call: ready?.call ?? '–',
      voice: rateOut > 0 ? `${rate} / ${rateOut} Hz` : '–',
      sent: time(counters.samplesSent, rate),
      received: time(counters.samplesReceived, rateOut),
      played: time(speaker.played, rateOut),
      waiting: rateOut > 0 ? `${waiting} ms` : '–',
      overflow: time(speaker.dropped, rateOut),
      dropped: `${counters.framesDropped} frames`,
      comings: `${counters.connections}, ${counters.resumes} resumed`,
    });
  }

  #put(facts) {
    this.#summary(facts);
    for (const [name, text] of Object.entries(facts)) {
      if (this.#values[name].textContent !== text) this.#values[name].textContent = text;
    }
  }
}
