// The loudspeaker's side on the page's thread. The queue and all counts are in the worklet.

const PENDING_LIMIT = 3000; // messages kept while the worklet loads: a minute of 20 ms frames

export class Speaker {
  #context = null;
  #node = null;
  #pending = [];
  #epoch = 0;
  #sink = '';
  #drained = [];
  #opening = 0;
  #overflowed = 0; // of `dropped`, what the next `cleared` will name again
  played = 0; // since the attach, as last reported
  received = 0; // since the attach
  dropped = 0; // since the attach
  level = 0;

  /** `report` is called with every message of the worklet about the present connection. */
  constructor(report) {
    this.report = report;
  }

  get rate() {
    return this.#context?.sampleRate ?? 0;
  }

  /** Seconds from a rendered sample to the ear, as far as the browser knows. */
  get latency() {
    return (this.#context?.baseLatency ?? 0) + (this.#context?.outputLatency ?? 0);
  }

  /** Samples that were received and are neither played nor dropped. */
  get waiting() {
    return this.received - this.played - this.dropped;
  }

  /** Makes it ready to play at `rate`. Best called while handling a click, or it may stay silent. */
  async open(rate) {
    if (this.rate === rate) return;
    this.close();
    this.#opening += 1;
    const opening = this.#opening;
    const context = new AudioContext({ sampleRate: rate, latencyHint: 'interactive' });
    this.#context = context;
    this.wake();
    await context.audioWorklet.addModule(new URL('./playback-worklet.js', import.meta.url));
    if (opening !== this.#opening) return;
    const node = new AudioWorkletNode(context, 'troupe-playback', {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    node.port.onmessage = ({ data }) => this.#reported(data);
    node.connect(context.destination);
    this.#node = node;
    for (const [message, transfer] of this.#pending) node.port.postMessage(message, transfer);
    this.#pending = [];
    if (this.#sink) await this.useDevice(this.#sink);
  }

  /** Goes on if the browser has stopped it. */
  wake() {
    if (this.#context?.state === 'suspended') this.#context.resume();
  }

  /** A new connection: what was queued is gone, counts begin at zero. */
  attach() {
    this.#epoch += 1;
    this.played = this.received = this.dropped = this.level = 0;
    this.#overflowed = 0;
    this.#pending = [];
    this.#post({ type: 'attach', epoch: this.#epoch });
  }

  /** @param {ArrayBuffer} buffer 16-bit mono at the context's rate; given away */
  play(buffer) {
    const samples = new Int16Array(buffer, 0, buffer.byteLength >> 1);
    this.received += samples.length;
    this.#post({ type: 'audio', samples }, [buffer]);
  }

  mark(name) {
    this.#post({ type: 'mark', name });
  }

  clear(id) {
    this.#post({ type: 'clear', id });
  }

  /** True where the browser lets a page choose the loudspeaker. */
  static get canChoose() {
    return 'setSinkId' in AudioContext.prototype;
  }

  async useDevice(deviceId) {
    this.#sink = deviceId;
    if (this.#context !== null && Speaker.canChoose) await this.#context.setSinkId(deviceId);
  }

  /** Resolves when all has been rendered, or after `limit` seconds. */
  async drain(limit) {
    if (this.waiting <= 0) return;
    await new Promise((resolve) => {
      this.#drained.push(resolve);
      setTimeout(resolve, limit * 1000);
    });
  }

  close() {
    this.#opening += 1;
    if (this.#node !== null) this.#node.port.onmessage = null;
    this.#context?.close();
    this.#context = this.#node = null;
    this.level = 0;
  }

  #post(message, transfer = []) {
    if (this.#node !== null) {
      this.#node.port.postMessage(message, transfer);
    } else if (this.#pending.length < PENDING_LIMIT) {
      this.#pending.push([message, transfer]);
    } else if (message.type === 'audio') {
      this.dropped += message.samples.length;
    }
  }

  #reported(message) {
    // Numbers about an earlier connection would be believed by the server of this one.
    if (message.epoch !== this.#epoch) return;
    switch (message.type) {
      case 'played':
        this.played = message.samples;
        break;
      case 'cleared':
        this.played = message.played;
        this.dropped += message.dropped - this.#overflowed;
        this.#overflowed = 0;
        break;
      case 'overflow':
        this.dropped += message.samples;
        this.#overflowed += message.samples;
        break;
      case 'level':
        this.level = message.rms;
        break;
    }
    if (this.waiting <= 0) {
      for (const resolve of this.#drained.splice(0)) resolve();
    }
    this.report(message);
  }
}
