// The settings dialog, and the view switch of narrow screens.

import { find, h } from './dom.js';
import { RATES, keepToken, linkTo, readToken } from './settings.js';
import { Speaker } from './speaker.js';

export class SettingsView {
  #dialog = find('settings');
  #settings;
  #changed;

  /**
   * @param {object} settings as read from the address; changed in place
   * @param {object} changed microphone(deviceId), loudspeaker(deviceId) and processing(on), called
   *   at once when the person changes them
   */
  constructor(settings, changed) {
    this.#settings = settings;
    this.#changed = changed;
    find('setting-rate').append(...RATES.map((rate) => h('option', { value: rate }, `${rate} Hz`)));
    find('settings-open').addEventListener('click', () => this.#open());
    find('settings-copy').addEventListener('click', () => this.#copy());
    this.#dialog.addEventListener('close', () => this.#keep());
    find('microphone').addEventListener('change', ({ target }) => changed.microphone(target.value));
    find('loudspeaker').addEventListener('change', ({ target }) => changed.loudspeaker(target.value));
    find('processing').addEventListener('change', ({ target }) => {
      settings.processing = target.checked;
      changed.processing(target.checked);
    });
    navigator.mediaDevices?.addEventListener('devicechange', () => this.listDevices());
    find('loudspeaker').hidden = find('loudspeaker-label').hidden = !Speaker.canChoose;
  }

  #open() {
    find('setting-agent').value = this.#settings.agent;
    find('setting-call').value = this.#settings.call;
    find('setting-rate').value = String(this.#settings.rate);
    find('setting-token').value = readToken();
    find('processing').checked = this.#settings.processing;
    this.listDevices();
    this.#dialog.showModal();
  }

  #read() {
    this.#settings.agent = find('setting-agent').value.trim();
    this.#settings.call = find('setting-call').value.trim();
    this.#settings.rate = Number(find('setting-rate').value);
  }

  #keep() {
    this.#read();
    keepToken(find('setting-token').value.trim());
    history.replaceState(null, '', linkTo(this.#settings));
  }

  async #copy() {
    this.#read();
    const link = linkTo(this.#settings);
    const note = find('settings-note');
    try {
      await navigator.clipboard.writeText(link);
      note.textContent = 'The link is copied.';
    } catch {
      note.textContent = link; // the browser keeps its clipboard to itself: there it is to copy
    }
  }

  /** Names are told only once the page may use a device; until then there is the usual one. */
  async listDevices() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    for (const [id, kind] of [['microphone', 'audioinput'], ['loudspeaker', 'audiooutput']]) {
      const select = find(id);
      const chosen = select.value;
      const known = devices.filter((device) => device.kind === kind && device.deviceId);
      select.replaceChildren(
        h('option', { value: '' }, 'The usual one'),
        ...known
          .filter((device) => device.deviceId !== 'default')
          .map((device) => h('option', { value: device.deviceId }, device.label || 'Unnamed')),
      );
      select.value = known.some((device) => device.deviceId === chosen) ? chosen : '';
    }
  }
}

/** Narrow screens show the conversation or what is behind it. */
export function switchViews() {
  for (const view of ['talk', 'inspect']) {
    find(`view-${view}`).addEventListener('click', () => {
      document.body.dataset.view = view;
      for (const other of ['talk', 'inspect']) {
        find(`view-${other}`).setAttribute('aria-pressed', String(other === view));
      }
    });
  }
}
