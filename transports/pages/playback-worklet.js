// The loudspeaker, on the audio thread: a queue of what the server sent, and exact counts of it.
//
// From the page, in the order of the wire:
//   {type: 'attach', epoch}          a new connection: empty the queue, count from zero
//   {type: 'audio', samples}         Int16Array at the context's rate
//   {type: 'mark', name}             tell when everything before this has been rendered
//   {type: 'clear', id}              drop all that was not rendered
// To the page, each with the `epoch` of the connection it is about:
//   {type: 'played', samples}        rendered since the attach; every 100 ms, and when run dry
//   {type: 'mark', name}
//   {type: 'cleared', id, played, dropped}
//   {type: 'level', rms, peak}       of 20 ms that were rendered
//   {type: 'overflow', samples}      received beyond the queue's bound, and dropped

const QUEUE_SECONDS = 30;
// A cut in mid-wave clicks. The last value fades out over 2 ms instead; these samples are ours, not
// the server's, so they are in no count.
const FADE_SECONDS = 0.002;

class Playback extends AudioWorkletProcessor {
  #epoch = 0;
  #queue = []; // {samples} or {mark}
  #offset = 0; // into the first entry's samples
  #queued = 0; // samples that wait
  #played = 0;
  #reported = 0;
  #overflowed = 0; // since the last clear
  #last = 0; // the value that was rendered last, from -1 to 1
  #fade = 0; // samples left of fading from it
  #level = { samples: 0, power: 0, peak: 0, sounded: false };

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#receive(data);
  }

  #receive(message) {
    switch (message.type) {
      case 'attach':
        this.#drop();
        this.#epoch = message.epoch;
        this.#played = 0;
        this.#reported = 0;
        break;
      case 'audio':
        this.#enqueue(message.samples);
        break;
      case 'mark':
        this.#queue.push({ mark: message.name });
        break;
      case 'clear': {
        // What overflowed counts as dropped, so that played + dropped is all that was received.
        const dropped = this.#drop();
        this.#post({ type: 'cleared', id: message.id, played: this.#played, dropped });
        this.#reported = this.#played;
        break;
      }
    }
  }

  #post(message) {
    this.port.postMessage({ ...message, epoch: this.#epoch });
  }

  #enqueue(samples) {
    if (samples.length === 0) return;
    if (this.#queued + samples.length > QUEUE_SECONDS * sampleRate) {
      this.#overflowed += samples.length;
      this.#post({ type: 'overflow', samples: samples.length });
      return;
    }
    this.#queue.push({ samples });
    this.#queued += samples.length;
  }

  /** Empties the queue, marks included; says how many samples will now never be heard. */
  #drop() {
    const dropped = this.#queued + this.#overflowed;
    this.#queue = [];
    this.#offset = 0;
    this.#queued = 0;
    this.#overflowed = 0;
    return dropped;
  }

  process(_inputs, [[output]]) {
    const rendered = this.#render(output);
    this.#played += rendered;
    this.#returnMarks();
    if (rendered < output.length) this.#fadeOut(output, rendered);
    this.#measure(output, rendered);
    const unreported = this.#played - this.#reported;
    const ranDry = this.#queued === 0 && unreported > 0;
    if (ranDry || unreported >= sampleRate / 10) {
      this.#post({ type: 'played', samples: this.#played });
      this.#reported = this.#played;
    }
    return true;
  }

  /** Copies what waits into `output`; says how many samples there were. */
  #render(output) {
    let at = 0;
    while (at < output.length && this.#queued > 0) {
      const { samples, mark } = this.#queue[0];
      if (mark !== undefined) {
        // Between two sounds of one block: a few samples early is within the block, which is the
        // finest time there is here.
        this.#post({ type: 'mark', name: mark });
        this.#queue.shift();
        continue;
      }
      const count = Math.min(output.length - at, samples.length - this.#offset);
      for (let i = 0; i < count; i += 1) output[at + i] = samples[this.#offset + i] / 32768;
      at += count;
      this.#offset += count;
      this.#queued -= count;
      if (this.#offset === samples.length) {
        this.#queue.shift();
        this.#offset = 0;
      }
    }
    if (at > 0) {
      this.#last = output[at - 1];
      this.#fade = Math.round(FADE_SECONDS * sampleRate);
    }
    return at;
  }

  /** Marks at the head of the queue have nothing before them any more. */
  #returnMarks() {
    while (this.#queue.length > 0 && this.#queue[0].mark !== undefined) {
      this.#post({ type: 'mark', name: this.#queue.shift().mark });
    }
  }

  #fadeOut(output, from) {
    const length = Math.round(FADE_SECONDS * sampleRate);
    for (let i = from; i < output.length; i += 1) {
      if (this.#fade > 0) this.#fade -= 1;
      output[i] = (this.#last * this.#fade) / length;
    }
  }

  #measure(output, rendered) {
    const level = this.#level;
    for (let i = 0; i < rendered; i += 1) {
      level.power += output[i] * output[i];
      level.peak = Math.max(level.peak, Math.abs(output[i]));
    }
    level.samples += output.length;
    if (level.samples < sampleRate / 50) return;
    const rms = Math.sqrt(level.power / level.samples);
    // One zero after the sound ends, then nothing: silence needs no messages.
    if (rms > 0 || this.#level.sounded) this.#post({ type: 'level', rms, peak: level.peak });
    this.#level = { samples: 0, power: 0, peak: 0, sounded: rms > 0 };
  }
}

registerProcessor('troupe-playback', Playback);
