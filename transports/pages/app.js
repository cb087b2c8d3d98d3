// The talk page, put together: one line, one microphone, one loudspeaker, and what they show.

import { ControlsView } from './controls-view.js';
import { Conversation } from './conversation.js';
import { stillness } from './dom.js';
import { Line } from './line.js';
import { LogView } from './log-view.js';
import { Microphone, explain } from './microphone.js';
import { FactsView, FloorsView, Meter, ToolsView } from './panels.js';
import { SettingsView, switchViews } from './settings-view.js';
import { keepToken, readSettings, readToken } from './settings.js';
import { Speaker } from './speaker.js';
import { expose } from './testing.js';
import { TimelineView } from './timeline-view.js';
import { TranscriptView } from './transcript-view.js';
import { TurnsView } from './turns-view.js';

const DROP_SECONDS = 5;
const DRAIN_SECONDS = 2; // what the agent said last is heard after the server hung up
const CLEARS_KEPT = 50;
const STREAM = 's1';

const mediaUrl = () => {
  const url = new URL('/media', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
};

class Talk {
  #settings = readSettings();
  #conversation = new Conversation();
  #line = new Line(mediaUrl(), () => this.#start(), {
    state: (state, reason, code) => this.#lineBecame(state, reason, code),
    ready: (ready) => this.#attached(ready),
    message: (message) => this.#received(message),
    audio: (buffer) => this.#speaker.play(buffer),
    sent: (message) => this.#log.add('page', message),
  });
  #microphone = new Microphone((frame) => this.#captured(frame), () => this.#microphoneLost());
  #speaker = new Speaker((report) => this.#rendered(report));
  #transcript = new TranscriptView();
  #floors = new FloorsView();
  #turns = new TurnsView();
  #tools = new ToolsView();
  #log = new LogView();
  #facts = new FactsView();
  #timeline = new TimelineView();
  #meters = { user: new Meter('user-meter'), agent: new Meter('agent-meter') };
  #controls = new ControlsView({
    connect: (withMicrophone) => this.#connect(withMicrophone),
    hangUp: () => this.#hangUp(),
    drop: () => this.#line.drop(DROP_SECONDS),
    mute: () => this.#mute(),
    send: (text) => this.#write(text),
    press: (digit) => this.#line.send({ type: 'dtmf', digit }),
    token: (token) => this.#useToken(token),
  });
  #settingsView = new SettingsView(this.#settings, {
    microphone: (deviceId) => this.#changeMicrophone(deviceId),
    loudspeaker: (deviceId) => this.#changeSpeaker(deviceId),
    processing: () => this.#changeMicrophone(this.#deviceId),
  });
  #ending = { reason: '', code: '' };
  #preparing = null; // while devices open, before the line does: the call they open for
  #returning = false; // the line was live before, and is being brought back
  #captures = 0;
  #level = 0;
  #deviceId = '';
  #spoke = true; // the last call was by microphone: a token that was missing changes nothing
  #clears = [];
  #drawnAt = 0;
  #factsAt = 0;

  run() {
    switchViews();
    expose(() => this.#snapshot());
    this.#drawFloors();
    this.#drawControls();
    // Browsers may stop the sound of a page nobody has touched; a touch brings it back.
    for (const touch of ['pointerdown', 'keydown']) {
      addEventListener(touch, () => this.#speaker.wake());
    }
    addEventListener('online', () => this.#line.hurry());
    addEventListener('pagehide', () => this.#line.hangUp('page closed'));
    requestAnimationFrame((at) => this.#animate(at));
  }

  // -- coming and going -----------------------------------------------------------------------

  async #connect(withMicrophone) {
    if (this.#state !== 'idle' && this.#state !== 'ended') return;
    this.#spoke = withMicrophone;
    this.#ending = { reason: '', code: '' };
    this.#beginAnew();
    const call = {};
    this.#preparing = call;
    this.#drawControls();
    // Begun while the click is being handled, or browsers keep it silent.
    const speaker = this.#openSpeaker(this.#settings.outRate);
    if (withMicrophone) await this.#openMicrophone(this.#deviceId);
    await speaker;
    if (this.#preparing !== call) return; // hung up while the browser asked for permission
    this.#preparing = null;
    this.#line.connect();
  }

  #hangUp() {
    if (this.#preparing === null) {
      this.#line.hangUp('hung up');
      return;
    }
    this.#preparing = null;
    this.#close();
    this.#drawControls();
  }

  /** The line's state; while devices open for it, it is as good as connecting. */
  get #state() {
    return this.#preparing === null ? this.#line.state : 'connecting';
  }

  async #openSpeaker(rate) {
    try {
      await this.#speaker.open(rate);
    } catch (error) {
      this.#tell(`The loudspeaker did not start (${error.name}). You can read along.`, 'error');
    }
  }

  async #changeSpeaker(deviceId) {
    try {
      await this.#speaker.useDevice(deviceId);
    } catch (error) {
      this.#tell(`That loudspeaker cannot be used (${error.name}).`, 'warning');
    }
  }

  /** Another call counts its turns and utterances from the beginning. */
  #beginAnew() {
    this.#conversation = new Conversation();
    this.#clears = [];
    this.#transcript.reset();
    this.#turns.draw([]);
    this.#tools.draw(new Map());
    this.#drawFloors();
  }

  async #openMicrophone(deviceId) {
    const { rate, processing } = this.#settings;
    try {
      await this.#microphone.open({ rate, deviceId, processing });
    } catch (error) {
      if (error.name !== 'AbortError') this.#tell(explain(error), 'warning');
    }
    await this.#settingsView.listDevices();
    this.#drawControls();
  }

  #changeMicrophone(deviceId) {
    this.#deviceId = deviceId;
    if (this.#microphone.isOpen) this.#openMicrophone(deviceId);
  }

  #microphoneLost() {
    this.#tell('The microphone went away. You can write, or choose another.', 'warning');
    this.#drawControls();
  }

  #useToken(token) {
    keepToken(token);
    this.#connect(this.#spoke);
  }

  #start() {
    const { agent, call, rate, outRate } = this.#settings;
    const token = readToken();
    return {
      type: 'start',
      stream: STREAM,
      format: 's16le',
      rate,
      channels: 1,
      out_rate: outRate,
      played: true,
      clear: true,
      shows: true,
      ...(token ? { token } : {}),
      ...(call ? { call } : {}),
      ...(agent ? { agent } : {}),
      params: {
        page: 'talk',
        language: navigator.language,
        microphone: String(this.#microphone.isOpen),
        latency_ms: String(Math.round(this.#speaker.latency * 1000)),
      },
    };
  }

  #attached(ready) {
    if (this.#returning && !ready.resumed) {
      this.#beginAnew();
      this.#tell('The old call is gone; this is a new one.', 'warning');
    }
    this.#returning = true;
    this.#openSpeaker(ready.rate); // sound that comes before it is open waits in the speaker
    this.#speaker.attach();
  }

  #lineBecame(state, reason, code) {
    this.#ending = { reason, code };
    this.#log.add('page', { type: state, ...(reason ? { reason } : {}), ...(code ? { code } : {}) });
    // The server counts from the last word we heard: what is left of it would be heard twice.
    if (state === 'away') this.#speaker.attach();
    if (state === 'live' && this.#microphone.muted) this.#line.send({ type: 'mute', muted: true });
    if (state === 'away' || state === 'ended') {
      this.#conversation.rest();
      this.#drawFloors();
    }
    if (state === 'ended') this.#close();
    this.#drawControls();
    if (state === 'live') this.#controls.begin(this.#microphone.isOpen);
    if (state === 'ended') this.#transcript.toEnd();
  }

  async #close() {
    this.#returning = false;
    this.#microphone.close();
    this.#microphone.muted = false;
    this.#level = 0;
    await this.#speaker.drain(DRAIN_SECONDS);
    if (this.#state === 'ended' || this.#state === 'idle') this.#speaker.close();
  }

  // -- what passes ----------------------------------------------------------------------------

  #received(message) {
    this.#log.add('server', message);
    switch (message.type) {
      case 'clear':
        this.#speaker.clear(message.id);
        break;
      case 'mark':
        this.#speaker.mark(message.name);
        break;
      case 'show':
        this.#show(message);
        break;
      case 'error':
        if (this.#line.state === 'live') this.#tell(message.message || message.code, 'error');
        break;
    }
  }

  #rendered(report) {
    switch (report.type) {
      case 'played':
        this.#line.send({ type: 'played', samples: report.samples });
        break;
      case 'cleared': {
        const { id, played, dropped } = report;
        this.#line.send({ type: 'cleared', id, played, dropped });
        this.#clears = [...this.#clears, { id, played, dropped }].slice(-CLEARS_KEPT);
        this.#timeline.mark('cut');
        break;
      }
      case 'mark':
        this.#line.send({ type: 'mark', name: report.name });
        break;
      case 'level':
        this.#timeline.add('agent', report.rms);
        break;
    }
  }

  #captured({ samples, rms }) {
    this.#captures += 1;
    this.#level = rms;
    this.#timeline.add('user', rms);
    this.#line.sendAudio(samples);
  }

  #mute() {
    if (!this.#microphone.isOpen) return;
    this.#microphone.muted = !this.#microphone.muted;
    this.#line.send({ type: 'mute', muted: this.#microphone.muted });
    this.#drawControls();
  }

  #write(text) {
    if (!this.#line.send({ type: 'text', text })) return false;
    this.#transcript.draw([this.#conversation.typed(text)], this.#conversation.items);
    return true;
  }

  // -- showing --------------------------------------------------------------------------------

  #show(show) {
    const changed = this.#conversation.apply(show);
    this.#transcript.draw(changed, this.#conversation.items);
    switch (show.what) {
      case 'floors':
        this.#drawFloors();
        break;
      case 'turn':
        this.#turns.draw(this.#conversation.turns);
        if (typeof show.barge_in_ms === 'number') {
          this.#timeline.label(`${Math.round(show.barge_in_ms)} ms`);
        }
        break;
      case 'tool':
        this.#tools.draw(this.#conversation.tools);
        break;
      case 'agent':
        this.#drawControls();
        break;
    }
  }

  #tell(text, level) {
    const notice = this.#conversation.notice(text, level);
    this.#transcript.draw([notice], this.#conversation.items);
  }

  #drawFloors() {
    this.#floors.draw(this.#conversation.floors);
    this.#timeline.floors(this.#conversation.floors);
  }

  #drawControls() {
    this.#controls.draw({
      state: this.#state,
      ...this.#ending,
      agent: this.#conversation.agent,
      call: this.#line.ready?.call ?? '',
      microphone: this.#microphone.isOpen,
      muted: this.#microphone.muted,
      hadCall: this.#conversation.items.length > 0,
    });
  }

  #animate(at) {
    requestAnimationFrame((next) => this.#animate(next));
    // Whoever asked for little movement gets the same facts twice a second.
    if (at - this.#drawnAt < (stillness.matches ? 500 : 30) || this.#state === 'idle') return;
    this.#drawnAt = at;
    this.#meters.user.draw(this.#microphone.isOpen ? this.#level : 0);
    this.#meters.agent.draw(this.#speaker.level);
    this.#timeline.draw();
    const { state, retryAt } = this.#line;
    this.#controls.away(this.#ending.reason, state === 'away' ? (retryAt - at) / 1000 : null);
    if (at - this.#factsAt < 500) return;
    this.#factsAt = at;
    this.#facts.draw(this.#line, this.#speaker, this.#settings.rate);
  }

  #snapshot() {
    const { ready, counters } = this.#line;
    const speaker = this.#speaker;
    return {
      state: this.#state,
      ...this.#ending,
      ready: ready === null ? null : { ...ready, resume: undefined },
      microphone: {
        open: this.#microphone.isOpen,
        muted: this.#microphone.muted,
        rate: this.#settings.rate,
        contextRate: this.#microphone.contextRate,
        frames: this.#captures,
        level: this.#level,
      },
      speaker: {
        rate: speaker.rate,
        received: speaker.received,
        played: speaker.played,
        dropped: speaker.dropped,
        waiting: speaker.waiting,
        level: speaker.level,
        latency: speaker.latency,
      },
      line: counters,
      items: this.#conversation.items,
      floors: this.#conversation.floors,
      turns: this.#conversation.turns,
      tools: [...this.#conversation.tools.values()],
      agent: this.#conversation.agent,
      clears: this.#clears,
    };
  }
}

new Talk().run();
