// book.js — the code that follows the text, the search, light and dark. Without it every page is whole.
const wide = matchMedia('(min-width: 1101px)');
const stored = key => { try { return localStorage.getItem(key); } catch { return null; } };
const store = (key, value) => { try { localStorage.setItem(key, value); } catch { /* no storage for files */ } };

// light or dark: as chosen, or as the system is
const root = document.documentElement;
const system = matchMedia('(prefers-color-scheme: dark)');
const setTheme = theme => { root.dataset.theme = theme; };
setTheme(stored('theme') || (system.matches ? 'dark' : 'light'));
addEventListener('storage', event => { if (event.key === 'theme') setTheme(event.newValue); });
addEventListener('message', event => { if (event.data === 'light' || event.data === 'dark') setTheme(event.data); });

const frame = document.querySelector('iframe');
if (frame) {
    const tell = () => frame.contentWindow.postMessage(root.dataset.theme, '*');
    frame.addEventListener('load', tell);
    document.getElementById('theme').addEventListener('click', () => {
        setTheme(root.dataset.theme === 'dark' ? 'light' : 'dark');
        store('theme', root.dataset.theme);
        tell();
    });

    // a link into the code opens in the right column, where there is one
    const links = document.querySelectorAll('a[target=code]');
    const aim = () => links.forEach(a => { if (wide.matches) a.target = 'code'; else a.removeAttribute('target'); });
    wide.addEventListener('change', aim);
    aim();

    // the right column shows the function quoted highest in view
    let shown = null;
    const seen = new Set();
    const quotes = [...document.querySelectorAll('.quote')];
    const follow = () => {
        const next = quotes.find(q => seen.has(q));
        if (!next || next === shown || !wide.matches) return;
        if (shown) shown.classList.remove('shown');
        shown = next;
        shown.classList.add('shown');
        frame.contentWindow.location.replace(new URL(shown.dataset.code, location.href));
    };
    const observer = new IntersectionObserver(entries => {
        for (const e of entries) if (e.isIntersecting) seen.add(e.target); else seen.delete(e.target);
        follow();
    }, {rootMargin: '-60px 0px -35% 0px'});
    quotes.forEach(q => observer.observe(q));

    // a film strip and its film take each other's place
    document.querySelectorAll('.film').forEach(a => a.addEventListener('click', event => {
        const image = a.closest('.figure').querySelector('img'), film = a.getAttribute('href');
        event.preventDefault();
        a.href = image.getAttribute('src');
        image.src = film;
        a.textContent = film.endsWith('film.png') ? 'stop' : 'play';
    }));

    const menu = document.getElementById('menu'), contents = document.querySelector('.contents');
    menu.addEventListener('click', () => menu.setAttribute('aria-expanded', contents.classList.toggle('open')));

    // search: sections that hold every word, headings first; the index is read when it is first needed
    const input = document.getElementById('search'), found = document.getElementById('found');
    let index = null;
    const load = () => index ??= new Promise((resolve, reject) => {
        const script = document.createElement('script');
        script.src = 'search.js';
        script.onload = () => resolve(SECTIONS);
        script.onerror = reject;
        document.head.append(script);
    });
    const text = s => document.createTextNode(s);
    const result = ([page, anchor, title, body], words) => {
        const a = document.createElement('a'), small = document.createElement('small');
        a.href = page + (anchor ? '#' + anchor : '');
        const at = Math.max(0, body.toLowerCase().indexOf(words[0]) - 50);
        small.append(text((at ? '… ' : '') + body.slice(at, at + 160)));
        a.append(text(page.replace('.html', '') + ': ' + (title || 'beginning')), small);
        return a;
    };
    const search = async () => {
        const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
        if (!words.length) { found.style.display = 'none'; return; }
        const asked = input.value, sections = await load();
        if (input.value !== asked) return;
        const hits = sections.map(section => {
            const title = section[2].toLowerCase(), body = section[3].toLowerCase();
            if (!words.every(w => title.includes(w) || body.includes(w))) return null;
            return [words.filter(w => title.includes(w)).length, section];
        }).filter(Boolean).sort((a, b) => b[0] - a[0]).slice(0, 30);
        found.replaceChildren(...hits.map(h => result(h[1], words)));
        if (!hits.length) found.append(text('nothing found'));
        found.style.display = 'block';
    };
    input.addEventListener('input', search);
    addEventListener('keydown', event => {
        const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
        if (event.key === '/' && !typing) { event.preventDefault(); input.focus(); }
        if (event.key === 'Escape') { input.value = ''; search(); }
    });
}
