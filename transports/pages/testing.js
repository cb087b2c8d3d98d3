// The page's testing interface: `window.troupe.snapshot()`.
//
// A frozen copy of what the page knows, for tests and for whoever looks into a fault:
//
//   state       idle, connecting, live, away or ended; with `reason` and `code`
//   ready       the server's last `ready`, without its resume token; null before the first
//   microphone  {open, muted, rate, contextRate, frames, level}
//   speaker     {rate, received, played, dropped, waiting, level, latency}, in samples since the
//               connection was attached; level of the last 20 ms that were rendered
//   line        counters of the whole page: connections, resumes, framesSent, samplesSent,
//               framesDropped, framesReceived, samplesReceived
//   items       the transcript, as in conversation.js
//   floors, turns, tools, agent
//   clears      every `clear` that was answered: {id, played, dropped}; the last 50
//
// It can be read and not written: nothing done to a snapshot reaches the page.

function freeze(value) {
  if (value !== null && typeof value === 'object') Object.values(value).forEach(freeze);
  return Object.freeze(value);
}

export function expose(read) {
  const snapshot = () => freeze(structuredClone(read()));
  Object.defineProperty(window, 'troupe', { value: Object.freeze({ snapshot }) });
}
