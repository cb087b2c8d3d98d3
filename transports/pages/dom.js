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
