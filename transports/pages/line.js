// The line to the server: one WebSocket at a time, and coming back when it is lost.
//
//   idle ──connect──► connecting ──ready──► live ──lost or dropped──► away ──► connecting …
//   and from each of them to ended: hung up, refused, or away for longer than the server keeps us
//
// Nothing here knows about sound or screens.

export const AWAY_LIMIT = 20_000; // ms; the server keeps a leg for so long
const READY_LIMIT = 8_000; // ms from opening the socket to the server's `ready`
const BACKOFF_FIRST = 250; // ms, doubling
const BACKOFF_MOST = 4_000;
const BUFFERED_LIMIT = 256 * 1024; // bytes of sound that may wait in the socket
// Refusals that may be over at the next try; all others are the last word.
const PASSING = new Set(['unavailable', 'busy', 'internal']);

export class Line {
  #url;
  #hello;
  #on;
  #socket = null;
  #timer = 0;
  #lostAt = 0;
  #tries = 0;
  #resume = '';
  state = 'idle';
  ready = null; // the server's last `ready`
  retryAt = 0; // ms, performance.now(): when the line is tried again, while away
  counters = {
    connections: 0,
    resumes: 0,
    framesSent: 0,
    samplesSent: 0,
    framesDropped: 0, // because the network took no more
    framesReceived: 0,
    samplesReceived: 0,
  };

  /**
   * @param {string} url of the media WebSocket
   * @param {() => object} hello the `start` message, without its `resume`
   * @param {object} on state(state, reason), ready(message), message(message), audio(ArrayBuffer)
   *   and sent(message); called from the socket's events
   */
  constructor(url, hello, on) {
    this.#url = url;
    this.#hello = hello;
    this.#on = on;
  }

  connect() {
    if (['connecting', 'live', 'away'].includes(this.state)) return;
    this.#resume = '';
    this.#lostAt = 0;
    this.#tries = 0;
    this.#open();
  }

  /** Says goodbye; the leg is over. */
  hangUp(reason) {
    if (this.state === 'idle' || this.state === 'ended') return;
    this.send({ type: 'stop', reason });
    this.#end(reason, 'left');
  }

  /** Loses the line on purpose, without a word, and comes back after `seconds`. */
  drop(seconds) {
    if (this.state !== 'live') return;
    this.#lost('you dropped the line', seconds * 1000);
  }

  /** Sends a message now; false if there is no line. */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN || this.state !== 'live') return false;
    this.#socket.send(JSON.stringify(message));
    this.#on.sent(message);
    return true;
  }

  /** Sends sound (Int16Array), or drops it where the network is behind. */
  sendAudio(samples) {
    if (this.#socket?.readyState !== WebSocket.OPEN || this.state !== 'live') return;
    if (this.#socket.bufferedAmount > BUFFERED_LIMIT) {
      this.counters.framesDropped += 1;
      return;
    }
    this.#socket.send(samples);
    this.counters.framesSent += 1;
    this.counters.samplesSent += samples.length;
  }

  /** The network came back: no need to wait for the next try. */
  hurry() {
    if (this.state === 'away') this.#open();
  }

  #become(state, reason = '', code = '') {
    this.state = state;
    this.#on.state(state, reason, code);
  }

  #open() {
    clearTimeout(this.#timer);
    this.#become('connecting');
    const socket = new WebSocket(this.#url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#lost('the server does not answer'), READY_LIMIT);
    socket.onopen = () => {
      const start = { ...this.#hello(), ...(this.#resume ? { resume: this.#resume } : {}) };
      socket.send(JSON.stringify(start));
      this.#on.sent(start);
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === 'string') this.#received(data);
      else this.#heard(data);
    };
    socket.onclose = ({ code, reason }) => {
      this.#lost(reason || (code === 1006 ? 'the line broke' : `the server closed it (${code})`));
    };
  }

  #heard(buffer) {
    this.counters.framesReceived += 1;
    this.counters.samplesReceived += buffer.byteLength >> 1;
    this.#on.audio(buffer);
  }

  #received(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      message = { type: 'error', code: 'not_json', message: 'The server sent text we cannot read.' };
    }
    if (message.type === 'ready') this.#becameReady(message);
    else if (message.type === 'error' && this.state === 'connecting') this.#refused(message);
    this.#on.message(message);
    if (message.type === 'stop') this.#end(message.reason ?? 'the call is over', '');
  }

  #becameReady(ready) {
    clearTimeout(this.#timer);
    this.ready = ready;
    this.#resume = ready.resume ?? '';
    this.#lostAt = 0;
    this.#tries = 0;
    this.counters.connections += 1;
    if (ready.resumed) this.counters.resumes += 1;
    this.#on.ready(ready);
    this.#become('live');
  }

  #refused({ code, message }) {
    if (this.#lostAt > 0 && PASSING.has(code)) this.#lost(message);
    else this.#end(message || code, code);
  }

  #lost(reason, wait = null) {
    this.#release();
    const now = performance.now();
    // The first call ever that finds no server is a failure to tell, not a line to wait for.
    if (this.#lostAt === 0 && this.state === 'connecting') {
      this.#end(reason, 'unreachable');
      return;
    }
    if (this.#lostAt === 0) this.#lostAt = now;
    if (now - this.#lostAt >= AWAY_LIMIT || !this.#resume) {
      this.#end(reason, 'lost');
      return;
    }
    const pause = wait ?? this.#backoff();
    this.retryAt = now + pause;
    this.#timer = setTimeout(() => this.#open(), pause);
    this.#become('away', reason);
  }

  #backoff() {
    const most = Math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** this.#tries);
    this.#tries += 1;
    return most * (0.5 + Math.random() / 2); // so that all pages do not come back at one moment
  }

  #end(reason, code) {
    this.#release();
    this.#resume = '';
    this.#become('ended', reason, code);
  }

  /** Lets the socket go; what it still says is not heard. */
  #release() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}
