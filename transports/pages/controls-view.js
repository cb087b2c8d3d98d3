// What the state of the line means for the page's words and buttons.

import { find, h } from './dom.js';

const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '0', '#'];

const STATES = {
  idle: () => 'Ready',
  connecting: () => 'Connecting…',
  live: (agent, call) => (agent ? `With ${agent}` : `Connected, call ${call}`),
  away: () => 'Line lost',
  ended: () => 'Call over',
};

/** Title and text of the screen between calls, by the code of what ended the last one. */
const ENDINGS = {
  unauthorized: ['This line needs a token.', ''],
  left: ['The call is over.', 'You hung up.'],
  refused: ['Your call was not taken.', null],
  unavailable: ['Your call was not taken.', null],
  unreachable: ['Nobody picked up.', 'The server could not be reached. Is it running?'],
  lost: ['The line is gone.', 'It could not be brought back in time. Your conversation ended.'],
};

export class ControlsView {
  #title = find('welcome-title');
  #text = find('welcome-text');

  /** @param {object} act connect(withMicrophone), hangUp(), drop(), mute(), send(text),
   *   press(digit) and token(text) */
  constructor(act) {
    find('connect').addEventListener('click', () => act.connect(true));
    find('connect-text').addEventListener('click', () => act.connect(false));
    find('hang-up').addEventListener('click', () => act.hangUp());
    find('drop').addEventListener('click', () => act.drop());
    find('mute').addEventListener('click', () => act.mute());
    this.#wireForms(act);
    this.#wireKeypad(act);
    document.addEventListener('keydown', (event) => {
      if (event.key.toLowerCase() === 'm' && !event.repeat && isCommand(event)) act.mute();
    });
  }

  #wireForms(act) {
    const text = find('text');
    find('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      const words = text.value.trim();
      if (words !== '' && act.send(words)) text.value = '';
    });
    find('token-form').addEventListener('submit', (event) => {
      event.preventDefault();
      act.token(find('token').value.trim());
    });
  }

  #wireKeypad(act) {
    const keypad = find('keypad');
    const opener = find('keypad-open');
    opener.addEventListener('click', () => {
      keypad.hidden = !keypad.hidden;
      opener.setAttribute('aria-expanded', String(!keypad.hidden));
    });
    for (const key of KEYS) {
      const button = h('button', { type: 'button' }, key);
      button.addEventListener('click', () => act.press(key));
      keypad.append(button);
    }
    keypad.addEventListener('keydown', (event) => {
      if (KEYS.includes(event.key)) act.press(event.key);
    });
  }

  /** @param {{state, reason, code, agent, call, microphone, muted, hadCall}} now */
  draw(now) {
    const { state } = now;
    document.body.dataset.state = state;
    find('state').textContent = STATES[state](now.agent, now.call);
    find('agent').textContent = now.agent || 'Agent';
    const live = state === 'live';
    for (const id of ['text', 'send', 'drop', 'keypad-open']) find(id).disabled = !live;
    find('hang-up').disabled = !['connecting', 'live', 'away'].includes(state);
    find('mute').disabled = !now.microphone;
    find('mute').setAttribute('aria-pressed', String(now.muted));
    find('mute').firstChild.textContent = now.muted ? 'Muted ' : 'Mute ';
    if (!live) this.#closeKeypad();
    this.#welcome(now);
  }

  #closeKeypad() {
    find('keypad').hidden = true;
    find('keypad-open').setAttribute('aria-expanded', 'false');
  }

  #welcome({ state, reason, code, hadCall }) {
    const welcome = find('welcome');
    welcome.hidden = !['idle', 'ended'].includes(state);
    find('token-form').hidden = code !== 'unauthorized';
    find('welcome-actions').hidden = code === 'unauthorized';
    welcome.classList.toggle('after', hadCall);
    if (state !== 'ended') return;
    const [title, told] = ENDINGS[code] ?? ['The call is over.', null];
    const text = told ?? sentence(reason); // null: the server's own words say it best
    this.#title.textContent = title;
    this.#text.textContent = text;
    this.#text.hidden = text === '';
    find('connect').textContent = 'Call again';
    // Whoever pressed a button that is gone now should not have to look for the next one.
    if (code === 'unauthorized') find('token').focus();
    else if (isLost(document.activeElement)) find('connect').focus();
  }

  /** The call is on: the welcome's buttons are gone, and the keyboard needs another place. */
  begin(microphone) {
    if (isLost(document.activeElement)) find(microphone ? 'mute' : 'text').focus();
  }

  /** Tells how long until the line comes back; null when there is nothing to tell. */
  away(reason, wait) {
    const note = find('away');
    note.hidden = wait === null;
    if (wait === null) return;
    const words = `${sentence(reason)} Trying again`;
    const count = ` in ${Math.max(1, Math.ceil(wait))} s.`;
    const [told, counted] = note.children;
    if (told.textContent !== words) told.textContent = words;
    if (counted.textContent !== count) counted.textContent = count;
  }
}

/** Focus on what cannot be used any more is focus on nothing. */
function isLost(element) {
  return element === document.body || element.disabled || element.offsetParent === null;
}

function sentence(words) {
  if (words === '') return '';
  const capital = words[0].toUpperCase() + words.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

/** A key alone is a command only where nobody is writing. */
function isCommand(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  return !event.target.closest('input:not([type=checkbox]), select, textarea, dialog');
}
