// The microphone, on the audio thread: blocks of 128 samples become frames of 20 ms, 16-bit.
//
// To the page: {samples: Int16Array, peak, rms} for every frame, levels from 0 to 1.

import { Resampler } from './resampler.js';

class Capture extends AudioWorkletProcessor {
  #length;
  #frame;
  #filled = 0;
  #resampler;

  constructor({ processorOptions: { rate } }) {
    super();
    this.#length = Math.round(rate / 50);
    this.#frame = new Int16Array(this.#length);
    // Where the context runs at the wire's rate nothing may touch the samples: they stay bit exact.
    this.#resampler = rate === sampleRate ? null : new Resampler(sampleRate, rate);
  }

  process([channels]) {
    // A source that is being exchanged has no channels for some blocks.
    if (channels.length === 0) return true;
    const block = this.#resampler === null ? channels[0] : this.#resampler.push(channels[0]);
    for (const sample of block) {
      // Chromium makes floats of a device's 16 bits with these two factors; the way back is exact.
      const value = Math.round(sample * (sample < 0 ? 32768 : 32767));
      this.#frame[this.#filled] = Math.max(-32768, Math.min(32767, value));
      this.#filled += 1;
      if (this.#filled === this.#frame.length) this.#post();
    }
    return true;
  }

  #post() {
    let peak = 0;
    let power = 0;
    for (const sample of this.#frame) {
      peak = Math.max(peak, Math.abs(sample));
      power += sample * sample;
    }
    const rms = Math.sqrt(power / this.#length) / 32768;
    const samples = this.#frame;
    this.port.postMessage({ samples, peak: peak / 32768, rms }, [samples.buffer]);
    this.#frame = new Int16Array(this.#length); // the old one has moved to the page's thread
    this.#filled = 0;
  }
}

registerProcessor('troupe-capture', Capture);
