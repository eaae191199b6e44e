// test_book.js BOOK — opens the book in Chromium as a reader would, and says what does not work. Debian's chromium-driver
// is spoken to by the WebDriver protocol alone.
const fs = require('fs'), path = require('path'), {spawn, execFileSync} = require('child_process');
const tryModule = require('./try.js');
const book = path.resolve(process.argv[2]), pictures = book + '.pictures', port = 9515 + process.pid % 1000;
let failed = 0, passed = 0;
const check = (good, what) => { if (good) passed++; else { failed++; console.log('FAILED: ' + what); } };

// ---- files: every link and anchor leads somewhere ------------------------------------------------------------
const pages = folder => fs.readdirSync(folder, {withFileTypes: true}).flatMap(e => {
    const name = path.join(folder, e.name);
    return e.isDirectory() ? pages(name) : name.endsWith('.html') ? [name] : [];
});
const anchors = new Map();
const anchorsOf = file => {
    if (!anchors.has(file)) anchors.set(file, new Set([...fs.readFileSync(file, 'utf8').matchAll(/ id="?([^">\s]+)/g)].map(m => m[1])));
    return anchors.get(file);
};
function checkLinks(file) {
    const html = fs.readFileSync(file, 'utf8');
    check(html.length < 3e6, `${file}: ${html.length} bytes`);
    for (const [, link] of html.matchAll(/ (?:href|src|data-code)="([^"]*)"/g)) {
        if (/^(https?:|mailto:)/.test(link)) continue;
        const [name, anchor] = decodeURI(link).split('#'), to = name ? path.join(path.dirname(file), name) : file;
        if (!fs.existsSync(to)) check(false, `${file}: ${link} is not there`);
        else if (anchor && to.endsWith('.html')) check(anchorsOf(to).has(anchor), `${file}: no anchor ${link}`);
    }
    for (const [image] of html.matchAll(/<img [^>]*>/g)) check(/ alt="[^"]+"/.test(image), `${file}: no alternative text: ${image}`);
}

// ---- a browser ----------------------------------------------------------------------------------------------
let session;
async function ask(method, command, body) {
    const reply = await fetch(`http://127.0.0.1:${port}${command}`, {method, body: body && JSON.stringify(body)});
    const {value} = await reply.json();
    if (value && value.error) throw new Error(`${command}: ${value.message}`);
    return value;
}
const post = (command, body = {}) => ask('POST', `/session/${session}/${command}`, body);
const run = (script, ...args) => post('execute/sync', {script, args});
const open = name => post('url', {url: `file://${book}/${name}`});
const size = (width, height) => post('window/rect', {width, height});
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
async function until(what, test) {
    for (let i = 0; i < 100; i++) {
        if (await test()) { check(true); return; }
        await pause(50);
    }
    check(false, what);
}
const complaints = async () => (await ask('POST', `/session/${session}/se/log`, {type: 'browser'})).filter(l => l.level === 'SEVERE').map(l => l.message);
async function picture(name) {
    fs.mkdirSync(pictures, {recursive: true});
    fs.writeFileSync(`${pictures}/${name}.png`, Buffer.from(await ask('GET', `/session/${session}/screenshot`), 'base64'));
}
// what a script returns inside the right column
async function inCode(script) {
    await post('frame', {id: 0});
    try { return await run(script); } finally { await post('frame', {id: null}); }
}

async function checkPages(names) {
    for (const name of names) {
        await open(name);
        for (const line of await complaints()) check(false, `${name}: ${line}`);
        const {width, wide} = await run('return {width: document.documentElement.scrollWidth, wide: innerWidth}');
        check(width <= wide, `${name}: ${width} pixels wide in a window of ${wide}`);
    }
}
async function checkFollowing(name) {
    await open(name);
    const quotes = await run('return [...document.querySelectorAll(".quote")].map(q => q.dataset.code)');
    check(quotes.length > 1, `${name}: quotes ${quotes.length} functions`);
    for (const k of [0, quotes.length - 1]) {
        await run('document.querySelectorAll(".quote")[arguments[0]].scrollIntoView({block: "start"})', k);
        const shown = await run('return [...document.querySelectorAll(".quote")].findIndex(q => q.getBoundingClientRect().top > 0)');
        const [file, fn] = quotes[Math.max(shown, 0)].split('#');
        await until(`${name}: the right column does not show ${fn}`, async () =>
            await inCode('return location.pathname.endsWith("/" + "' + file + '") && location.hash === "#' + fn + '"'));
        check(await inCode('return document.querySelector(":target").getBoundingClientRect().top < innerHeight'), `${fn} is not in view`);
    }
}
async function checkSearch() {
    await open('index.html');
    await run('const s = document.getElementById("search"); s.value = "reparameterise"; s.dispatchEvent(new Event("input"))');
    await until('nothing is found for reparameterise', () => run('return !!document.querySelector("#found a[href^=vae]")'));
    await run('const s = document.getElementById("search"); s.value = "xyzzy"; s.dispatchEvent(new Event("input"))');
    await until('something is found for xyzzy', () => run('return document.getElementById("found").textContent === "nothing found"'));
}
async function checkNarrow() {
    await size(400, 900);
    await open('vae.html');
    check(await run('return getComputedStyle(document.querySelector("iframe")).display') === 'none', 'narrow: the right column stays');
    await run('document.getElementById("menu").click()');
    check(await run('return getComputedStyle(document.querySelector(".contents")).display') === 'block', 'narrow: no contents');
}

// WCAG 2, level AA: 4.5 to 1 for every colour of text, on pages and on code, light and dark
function checkContrast() {
    const css = fs.readFileSync(path.join(book, 'book.css'), 'utf8'), themes = css.match(/:root[^{]*\{[^}]*\}/g);
    const luminance = hex => [0, 1, 2].reduce((sum, i) => {
        const v = parseInt(hex.substr(1 + 2 * i, 2), 16) / 255;
        return sum + [0.2126, 0.7152, 0.0722][i] * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    }, 0);
    check(themes.length === 2, `${themes.length} themes`);
    for (const theme of themes) {
        const colour = Object.fromEntries([...theme.matchAll(/--(\w+): (#[0-9a-f]{6})/g)].map(m => [m[1], m[2]]));
        for (const ground of ['back', 'box'])
            for (const name of ['text', 'soft', 'link', 'com', 'str', 'key', 'num']) {
                const [dark, light] = [colour[name], colour[ground]].map(luminance).sort((a, b) => a - b);
                check((light + 0.05) / (dark + 0.05) >= 4.5, `contrast of ${name} on ${ground} in ${theme.slice(0, 24)}`);
            }
    }
}

// ---- networks in the page: the numbers that the same C gives on this machine ------------------------------------
const trial = path.join(path.dirname(book), 'try');
const trials = {vae: ['0', Array(32).fill(0.5)], ae: ['0', Array(784).fill(0.5)], gan: ['0', [1, 2, 0.5]], ddpm: ['0' + '1'.repeat(10), [1, 10]],
    guidance: ['0' + '1'.repeat(10), [1, 10, 8, 1]]};
const onThisMachine = (name, calls, numbers) => execFileSync(`${trial}/${name}`, ['draw', `notebooks-data/${name}`, calls,
    ...numbers.map(String)]).toString().trim().split('\n').map(Number);
async function checkNumbers() {
    for (const [name, [calls, numbers]] of Object.entries(trials)) {
        const network = await tryModule.start(fs.readFileSync(`${trial}/${name}.wasm`), fs.readFileSync(`${trial}/${name}.weights`));
        let here;
        for (const call of calls) here = network.draw(+call, numbers);
        const native = onThisMachine(name, calls, numbers), difference = Math.max(...here.map((x, i) => Math.abs(x - native[i])));
        check(native.length === here.length && difference < 1e-3, `${name}: differs by ${difference}`);
        check(Math.max(...native) - Math.min(...native) > 0.1, `${name}: draws nothing`);
    }
}
const greys = 'return [...document.querySelectorAll(".try canvas")].map(c => [...c.getContext("2d").getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0))';
// Ten steps in the page end in the image that this machine draws.
async function checkSteps(name) {
    await open(name + '.html');
    await run('document.querySelector(".try button").click()');
    await until(`${name}: nothing is drawn`, () => run('return !!document.querySelector(".try select")'));
    await run('const s = document.querySelector(".try select"); s.value = 10; [...document.querySelectorAll(".try button")].at(-1).click()');
    await until(`${name}: does not come to an end`, () => run('return document.querySelector(".try").dataset.left === "0"'));
    const [drawn] = await run(greys), native = onThisMachine(name, ...trials[name]);
    check(drawn.every((g, i) => Math.abs(g - 255 * (Math.min(1, Math.max(-1, native[i])) + 1) / 2) <= 1), `${name}: another image than on this machine`);
}
async function checkTrials() {
    for (const name of Object.keys(trials)) {
        await open(name + '.html');
        await run('document.querySelector(".try button").click()');
        await until(`${name}: nothing is drawn`, async () => (await run(greys)).some(c => Math.max(...c) > 100));
        for (const line of await complaints()) check(false, `${name}: ${line}`);
        await picture(`try-${name}-1400`);
    }
    for (const name of ['ddpm', 'guidance']) await checkSteps(name);
}

(async () => {
    const all = pages(book), names = fs.readdirSync(book).filter(n => n.endsWith('.html'));
    check(names.length > 20 && all.length > 300, `${names.length} pages, ${all.length} with code`);
    all.forEach(checkLinks);
    checkContrast();
    await checkNumbers();
    const driver = spawn('chromedriver', [`--port=${port}`], {stdio: 'ignore'});
    try {
        for (let i = 0; ; i++) {
            try { await ask('GET', '/status'); break; } catch (e) { if (i > 100) throw e; await pause(100); }
        }
        session = (await ask('POST', '/session', {capabilities: {alwaysMatch: {browserName: 'chrome', 'goog:loggingPrefs': {browser: 'ALL'},
            'goog:chromeOptions': {args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars']}}}})).sessionId;
        await size(1400, 1000);
        await checkPages(names);
        for (const name of ['vae.html', 'ldm.html', 'ddpm.html']) await checkFollowing(name);
        await run('document.getElementById("reverse-process").scrollIntoView()');
        await pause(500);
        await picture('following-1400');
        await checkTrials();
        await checkSearch();
        await picture('search-1400');
        for (const name of ['index', 'tensor']) { await open(name + '.html'); await picture(name + '-1400'); }
        await checkNarrow();
        await checkPages(names);
        for (const name of ['index', 'ddpm', 'tensor']) { await open(name + '.html'); await picture(name + '-400'); }
    } catch (e) {
        check(false, e.stack);
    }
    if (session) await ask('DELETE', `/session/${session}`).catch(() => {});
    driver.kill();
    console.log(`${passed} passed, ${failed} failed; pictures of pages: ${pictures}`);
    process.exit(failed ? 1 : 0);
})();
