// From one sample rate to another by a windowed sinc, for browsers that refuse to do it themselves
// (Firefox will not connect a 48 kHz microphone to a 16 kHz context). Pure: no audio API is used,
// so it runs inside a worklet as well as in a test.

const ZERO_CROSSINGS = 16; // each side; 0.1 dB of ripple up to 0.88 of the band, 70 dB beyond it
const ROLL_OFF = 0.92; // the cut-off, as a part of the smaller Nyquist frequency
const KAISER_BETA = 7;

const gcd = (a, b) => (b === 0 ? a : gcd(b, a % b));

/** The modified Bessel function of order zero, by its series. */
function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** One row of filter taps per fraction of an input sample that an output may fall on. */
function phases(up, down) {
  const scale = Math.min(1, up / down) * ROLL_OFF;
  const half = Math.ceil(ZERO_CROSSINGS / scale);
  const rows = [];
  for (let phase = 0; phase < up; phase += 1) {
    const taps = new Float32Array(2 * half);
    let sum = 0;
    for (let i = 0; i < taps.length; i += 1) {
      const x = i - half + 1 - phase / up;
      const edge = x / half;
      const window = Math.abs(edge) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - edge * edge));
      taps[i] = window * (x === 0 ? 1 : Math.sin(Math.PI * x * scale) / (Math.PI * x * scale));
      sum += taps[i];
    }
    // Every row sums to one: a constant comes out as the same constant, without a hum at `up`.
    rows.push(taps.map((tap) => tap / sum));
  }
  return rows;
}

export class Resampler {
  #up;
  #down;
  #rows;
  #held; // input not yet done with; begins with silence, so the first output is the first input
  #next = 0; // where the next output falls: an input sample of #held and a phase, as one fraction

  /** Both rates in Hz, integers. */
  constructor(from, to) {
    const common = gcd(from, to);
    this.#up = to / common;
    this.#down = from / common;
    this.#rows = phases(this.#up, this.#down);
    this.#held = new Float32Array(this.#rows[0].length / 2 - 1);
  }

  /** Samples between the input and the output, at the input's rate. */
  get delay() {
    return this.#rows[0].length / 2;
  }

  /** The output that `input` (Float32Array) completes; maybe none. */
  push(input) {
    const all = new Float32Array(this.#held.length + input.length);
    all.set(this.#held);
    all.set(input, this.#held.length);
    const width = this.#rows[0].length;
    const output = [];
    let first = Math.floor(this.#next / this.#up);
    while (first + width <= all.length) {
      const taps = this.#rows[this.#next % this.#up];
      let sum = 0;
      for (let i = 0; i < width; i += 1) sum += taps[i] * all[first + i];
      output.push(sum);
      this.#next += this.#down;
      first = Math.floor(this.#next / this.#up);
    }
    const done = Math.min(first, all.length);
    this.#held = all.slice(done);
    this.#next -= done * this.#up;
    return Float32Array.from(output);
  }
}
