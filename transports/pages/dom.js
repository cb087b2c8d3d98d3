// The little that the views need from the page.

/** An element: `h('p', {class: 'note'}, 'text', child)`. Text is never read as markup. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

export function find(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`The page has no element #${id}.`);
  return element;
}

/** Is the person one who asked for little movement? */
export const stillness = matchMedia('(prefers-reduced-motion: reduce)');

const NEAR_THE_END = 80; // pixels: whoever has scrolled up further is reading, and is left alone

/** Keeps a scrolling element at its end while it grows or changes size, unless somebody reads. */
export class Follower {
  #scroller;
  #follows = true;
  #due = false;

  constructor(scroller) {
    this.#scroller = scroller;
    scroller.addEventListener('scroll', () => {
      const { scrollHeight, scrollTop, clientHeight } = scroller;
      this.#follows = scrollHeight - scrollTop - clientHeight < NEAR_THE_END;
    });
    new ResizeObserver(() => this.grown()).observe(scroller);
  }

  /** Something was added: once a picture is soon enough to move. */
  grown() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      if (this.#follows) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    });
  }

  toEnd() {
    this.#follows = true;
    this.grown();
  }
}
