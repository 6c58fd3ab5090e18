// Making elements. Whatever comes from a server becomes text and is never read as markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === null || value === undefined || value === false) continue;
        if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
        else node.setAttribute(name, value === true ? '' : value);
    }
    node.append(...children.flat().filter(child => child !== null && child !== undefined));
    return node;
}

export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const byId = id => document.getElementById(id);

/** Changes a text only where it differs, so that a selection in it and a screen reader's place stay. */
export function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
    if (value === null || value === undefined || value === false) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Shows a figure: the text that is read, and the value that it stands for. */
export function setFigure(node, value, format) {
    setText(node, format(value));
    setAttribute(node, 'data-value', value ?? '');
}

/** A list of terms with their figures; `rows` are `[name, label, format, title, mark]`. Gives the setter of one by its name. */
export function facts(host, rows) {
    const nodes = new Map();
    for (const [name, label, format, title, mark] of rows) {
        const value = el('dd', { 'data-figure': name });
        host.append(el('div', { title }, el('dt', { 'data-mark': mark }, label), value));
        nodes.set(name, [value, format]);
    }
    return (name, value) => setFigure(nodes.get(name)[0], value, nodes.get(name)[1]);
}

/** Keeps the children of `host` to one node for each item, by key, in order; the focus stays where it is. */
export function keep(host, items, key, make, update) {
    const known = host.known ??= new Map();
    const focused = host.contains(document.activeElement) ? document.activeElement : null;
    const wanted = new Set();
    let place = host.firstChild;
    for (const item of items) {
        const id = key(item);
        if (wanted.has(id)) continue;
        wanted.add(id);
        let node = known.get(id);
        if (!node) known.set(id, node = make(item));
        update(node, item);
        if (node === place) place = place.nextSibling;
        else host.insertBefore(node, place);
    }
    for (const [id, node] of known) {
        if (wanted.has(id)) continue;
        node.remove();
        known.delete(id);
    }
    if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}
