// The microphone: devices, permission, and frames of 20 ms.

/** @typedef {{samples: Int16Array, peak: number, rms: number}} CapturedFrame */

/** Why there is no microphone, in words for a person. */
export function explain(error) {
  switch (error.name) {
    case 'NotAllowedError':
      return 'The browser may not use the microphone. Allow it in the address bar, or write instead.';
    case 'NotFoundError':
      return 'No microphone was found. You can write instead.';
    case 'NotReadableError':
      return 'Another program holds the microphone. You can write instead.';
    case 'OverconstrainedError':
      return 'The chosen microphone is gone. Choose another in the settings.';
    case 'InsecureContext':
      return 'Browsers give the microphone only to https pages and localhost. You can write instead.';
    default:
      return `The microphone did not start (${error.name}). You can write instead.`;
  }
}

export class Microphone {
  #context = null;
  #node = null;
  #source = null;
  #stream = null;
  #muted = false;
  #opening = 0;

  /** @param {(frame: CapturedFrame) => void} onFrame called for every 20 ms
   *  @param {() => void} onLost the device went away */
  constructor(onFrame, onLost) {
    this.onFrame = onFrame;
    this.onLost = onLost;
  }

  get isOpen() {
    return this.#stream !== null;
  }

  get deviceId() {
    return this.#stream?.getAudioTracks()[0]?.getSettings().deviceId ?? '';
  }

  /** What the context runs at, which is not the wire's rate where the browser would not convert. */
  get contextRate() {
    return this.#context?.sampleRate ?? 0;
  }

  /** Opens it, or opens it again with other settings. Raises what getUserMedia raises. */
  async open({ rate, deviceId, processing }) {
    if (!navigator.mediaDevices) throw new DOMException('not a secure page', 'InsecureContext');
    this.close();
    this.#opening += 1;
    const opening = this.#opening;
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
        channelCount: 1,
        echoCancellation: processing,
        noiseSuppression: processing,
        autoGainControl: processing,
      },
    });
    try {
      if (opening !== this.#opening) throw new DOMException('closed meanwhile', 'AbortError');
      await this.#connect(stream, rate, opening);
    } catch (error) {
      stopAll(stream);
      throw error;
    }
  }

  async #connect(stream, rate, opening) {
    const { context, source } = sourceAt(stream, rate);
    await context.audioWorklet.addModule(new URL('./capture-worklet.js', import.meta.url));
    if (opening !== this.#opening) {
      context.close();
      throw new DOMException('closed meanwhile', 'AbortError');
    }
    const node = new AudioWorkletNode(context, 'troupe-capture', {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: 'explicit',
      processorOptions: { rate },
    });
    node.port.onmessage = ({ data }) => this.onFrame(data);
    const [track] = stream.getAudioTracks();
    track.enabled = !this.#muted;
    track.onended = () => {
      this.close();
      this.onLost();
    };
    source.connect(node);
    context.resume();
    this.#context = context;
    this.#node = node;
    this.#source = source;
    this.#stream = stream;
  }

  /** Muted, the browser itself gives silence: frames go on, so the far end's clock does too. */
  set muted(muted) {
    this.#muted = muted;
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  get muted() {
    return this.#muted;
  }

  close() {
    this.#opening += 1; // what is opening now will find itself overtaken
    if (this.#stream === null) return;
    this.#node.port.onmessage = null;
    this.#source.disconnect();
    stopAll(this.#stream);
    this.#context.close();
    this.#context = this.#node = this.#source = this.#stream = null;
  }
}

function stopAll(stream) {
  for (const track of stream.getTracks()) {
    track.onended = null;
    track.stop();
  }
}

/** A context that hears the stream, at `rate` if the browser converts, else at the device's own. */
function sourceAt(stream, rate) {
  const wanted = new AudioContext({ sampleRate: rate, latencyHint: 'interactive' });
  try {
    return { context: wanted, source: wanted.createMediaStreamSource(stream) };
  } catch (error) {
    wanted.close();
    if (error.name !== 'NotSupportedError') throw error;
  }
  // Firefox: streams connect only to contexts of their own rate. The worklet converts.
  const own = new AudioContext({ latencyHint: 'interactive' });
  return { context: own, source: own.createMediaStreamSource(stream) };
}
