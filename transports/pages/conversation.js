// What is known of the conversation, from the server's `show` messages. Pure: no page, no sound.
//
// Items, oldest first, each with a `key` that stays and a `kind`:
//   user    {turn, leg, text, final}                      what the user says
//   typed   {text}                                        written, and not yet in a transcript
//   agent   {utterance, agent, text, spoken, over, interrupted, said}
//           `spoken` code points of `text` were heard; once `over`, `said` is what history holds
//   handoff {name, reason}
//   tool    {id, name, state, detail}
//   notice  {text, level}

const ITEM_LIMIT = 400;
const TURN_LIMIT = 60;
const TOOL_LIMIT = 100;

/** The server counts characters as Python does: code points, not UTF-16 units. */
export function splitAt(text, characters) {
  const points = Array.from(text);
  return [points.slice(0, characters).join(''), points.slice(characters).join('')];
}

export class Conversation {
  items = [];
  tools = new Map(); // by id, in the order they were called
  turns = []; // {turn, parts_ms, total_ms, barge_in_ms}, oldest first
  floors = { user: 'quiet', agent: 'idle', at: 0 };
  agent = '';
  #byKey = new Map();
  #serial = 0;

  /** Takes in a `show`; the items that changed, for whoever draws them. */
  apply(show) {
    switch (show.what) {
      case 'transcript':
        return [this.#transcript(show)];
      case 'speech':
        return [this.#speech(show)];
      case 'spoken':
        return [this.#spoken(show)];
      case 'said':
        return [this.#said(show)];
      case 'floors':
        this.floors = { user: show.user, agent: show.agent, at: show.at };
        return [];
      case 'turn':
        this.#turn(show);
        return [];
      case 'agent':
        return this.#agent(show);
      case 'tool':
        return [this.#tool(show)];
      case 'notice':
        return [this.notice(show.text, show.level)];
      default:
        return []; // a newer server says more than we know; the log still shows it
    }
  }

  /** Nobody is on the line now. */
  rest() {
    this.floors = { user: 'quiet', agent: 'idle', at: this.floors.at };
  }

  /** The user wrote something. */
  typed(text) {
    this.#serial += 1;
    return this.#item(`typed-${this.#serial}`, { kind: 'typed', text });
  }

  notice(text, level = 'info') {
    this.#serial += 1;
    return this.#item(`notice-${this.#serial}`, { kind: 'notice', text, level });
  }

  #transcript({ turn, text, final, leg = '' }) {
    const key = `user-${leg}-${turn}`;
    if (final && !this.#byKey.has(key)) {
      // What was written comes back as a transcript: the same item, not a second one.
      const typed = this.items.find((item) => item.kind === 'typed' && item.text === text.trim());
      if (typed !== undefined) {
        this.#byKey.set(key, typed);
        return Object.assign(typed, { kind: 'user', turn, leg, final, alias: key });
      }
    }
    return this.#item(key, { kind: 'user', turn, leg, text, final });
  }

  #speech({ utterance, text, agent }) {
    return this.#utterance(utterance, { text, agent });
  }

  #spoken({ utterance, characters }) {
    return this.#utterance(utterance, { spoken: characters });
  }

  #said({ utterance, text, interrupted, agent }) {
    return this.#utterance(utterance, { over: true, said: text, interrupted, agent });
  }

  #utterance(number, changes) {
    const key = `agent-${number}`;
    const known = this.#byKey.get(key) ?? {
      kind: 'agent',
      utterance: number,
      agent: this.agent,
      text: '',
      spoken: 0,
      over: false,
      interrupted: false,
      said: '',
    };
    return this.#item(key, { ...known, ...changes });
  }

  #turn({ turn, parts_ms, total_ms, barge_in_ms = null }) {
    this.turns = this.turns.filter((known) => known.turn !== turn).slice(1 - TURN_LIMIT);
    this.turns.push({ turn, parts_ms, total_ms, barge_in_ms });
  }

  #agent({ name, reason = '' }) {
    const handedOff = this.agent !== '' && this.agent !== name;
    this.agent = name;
    if (!handedOff) return [];
    this.#serial += 1;
    return [this.#item(`handoff-${this.#serial}`, { kind: 'handoff', name, reason })];
  }

  #tool({ id, name, state, detail = '' }) {
    this.tools.set(id, { id, name, state, detail });
    if (this.tools.size > TOOL_LIMIT) this.tools.delete(this.tools.keys().next().value);
    return this.#item(`tool-${id}`, { kind: 'tool', id, name, state, detail });
  }

  #item(key, values) {
    const known = this.#byKey.get(key);
    if (known !== undefined) return Object.assign(known, values);
    const item = { key, ...values };
    this.#byKey.set(key, item);
    this.items.push(item);
    if (this.items.length > ITEM_LIMIT) {
      const oldest = this.items.shift();
      this.#byKey.delete(oldest.key);
      this.#byKey.delete(oldest.alias);
    }
    return item;
  }
}
