// The conversation as a script: who speaks, what was said, and how far it was heard.

import { splitAt } from './conversation.js';
import { Follower, find, h } from './dom.js';

export class TranscriptView {
  #list = find('transcript');
  #follower = new Follower(find('script'));
  #announcer = find('announcer');
  #drawn = new Map(); // element by key
  #announced = new Set();

  /** Draws the items that changed, and forgets those the conversation has forgotten. */
  draw(changed, items) {
    for (const item of changed) {
      const element = this.#drawn.get(item.key) ?? this.#add(item.key);
      this.#render(element, item);
      this.#announce(item);
    }
    while (this.#list.childElementCount > items.length) {
      const oldest = this.#list.firstElementChild;
      this.#drawn.delete(oldest.dataset.key);
      this.#announced.delete(oldest.dataset.key);
      oldest.remove();
    }
    this.#follower.grown();
  }

  /** A new call: an empty page. */
  reset() {
    this.#list.replaceChildren();
    this.#drawn.clear();
    this.#announced.clear();
  }

  toEnd() {
    this.#follower.toEnd();
  }

  #add(key) {
    const element = h('li', { 'data-key': key });
    this.#drawn.set(key, element);
    this.#list.append(element);
    return element;
  }

  #render(element, item) {
    element.className = `item ${item.kind}`;
    switch (item.kind) {
      case 'user':
        element.classList.toggle('interim', !item.final);
        element.replaceChildren(speaker('You'), line(item.text));
        break;
      case 'typed':
        element.replaceChildren(speaker('You'), line(item.text));
        break;
      case 'agent':
        element.classList.toggle('interrupted', item.interrupted);
        element.replaceChildren(speaker(item.agent || 'Agent'), spokenLine(item));
        break;
      case 'handoff':
        element.replaceChildren(
          direction(h('b', {}, item.name), ' takes over', item.reason ? `: ${item.reason}` : ''),
        );
        break;
      case 'tool':
        element.dataset.state = item.state;
        element.replaceChildren(
          direction(h('code', {}, item.name), ` ${item.state}`, h('i', {}, item.detail)),
        );
        break;
      case 'notice':
        element.dataset.level = item.level;
        element.replaceChildren(direction(item.text));
        break;
    }
  }

  /** What is finished is read out once; text that still grows would never stop talking. */
  #announce(item) {
    const words = announcement(item);
    if (words === '' || this.#announced.has(item.key)) return;
    this.#announced.add(item.key);
    this.#announcer.append(h('p', {}, words));
    while (this.#announcer.childElementCount > 5) this.#announcer.firstElementChild.remove();
  }
}

const speaker = (name) => h('span', { class: 'speaker' }, name);
const line = (...parts) => h('p', { class: 'line' }, ...parts);
const direction = (...parts) => h('p', { class: 'direction' }, ...parts);

/** The agent's text: heard, and to come; or, once it is over, heard and cut off. */
function spokenLine(item) {
  if (!item.over) {
    const [heard, rest] = splitAt(item.text, item.spoken);
    return line(h('span', { class: 'heard' }, heard), h('span', { class: 'ahead' }, rest));
  }
  const heard = h('span', { class: 'heard' }, item.said);
  if (!item.interrupted) return line(heard);
  const rest = item.text.startsWith(item.said) ? item.text.slice(item.said.length).trim() : '';
  return line(
    heard,
    h('span', { class: 'cut' }, 'interrupted'),
    // Nobody heard it, so it is not read out either; it is here for those who look into a turn.
    h('span', { class: 'unheard', 'aria-hidden': 'true' }, rest),
  );
}

function announcement(item) {
  switch (item.kind) {
    case 'user':
      return item.final ? `You: ${item.text}` : '';
    case 'agent':
      if (!item.over || (item.said === '' && !item.interrupted)) return '';
      return `${item.agent || 'Agent'}: ${item.said}${item.interrupted ? ' (interrupted)' : ''}`;
    case 'handoff':
      return `${item.name} takes over`;
    case 'notice':
      return item.text;
    default:
      return '';
  }
}
