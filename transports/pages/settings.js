// What the address says about how to talk, and how to say it again in a link.
//
//   agent=NAME          who should answer          call=ID       join a call that is there
//   rate=16000          of the microphone          out_rate=24000  of the agent's voice
//   processing=off      no echo cancelling, noise suppression or gain control
//
// The token is never in the address: addresses end up in histories and logs. It is kept for this
// tab alone (sessionStorage).

export const RATES = [8000, 16000, 22050, 24000, 44100, 48000];
const TOKEN_KEY = 'troupe.token';

const rateOf = (text, otherwise) => (RATES.includes(Number(text)) ? Number(text) : otherwise);

export function readSettings(search = location.search) {
  const query = new URLSearchParams(search);
  return {
    agent: query.get('agent') ?? '',
    call: query.get('call') ?? '',
    rate: rateOf(query.get('rate'), 16000),
    outRate: rateOf(query.get('out_rate'), 24000),
    processing: query.get('processing') !== 'off',
  };
}

/** The page's address with these settings; what is as usual is left out. */
export function linkTo(settings) {
  const query = new URLSearchParams();
  if (settings.agent) query.set('agent', settings.agent);
  if (settings.call) query.set('call', settings.call);
  if (settings.rate !== 16000) query.set('rate', String(settings.rate));
  if (settings.outRate !== 24000) query.set('out_rate', String(settings.outRate));
  if (!settings.processing) query.set('processing', 'off');
  const link = new URL(location.pathname, location.href);
  link.search = query.toString();
  return link.href;
}

// A browser that forbids storage (some do in private windows) throws at the mere mention of it;
// the token then lives as long as the page.
let unstored = '';

export function readToken() {
  try {
    return sessionStorage.getItem(TOKEN_KEY) ?? '';
  } catch {
    return unstored;
  }
}

export function keepToken(token) {
  unstored = token;
  try {
    if (token) sessionStorage.setItem(TOKEN_KEY, token);
    else sessionStorage.removeItem(TOKEN_KEY);
  } catch {
    // Kept in `unstored`.
  }
}
