// test_book.js BOOK — opens the book in Chromium as a reader would, and says what does not work. Debian's chromium-driver
// is spoken to by the WebDriver protocol alone.
const fs = require('fs'), path = require('path'), {spawn, execFileSync} = require('child_process');
const tryModule = require('./try.js');
const book = path.resolve(process.argv[2]), pictures = book + '.pictures', port = 9515 + process.pid % 1000;
const trial = path.join(path.dirname(book), 'try');
let failed = 0, passed = 0;
const check = (good, what) => { if (good) passed++; else { failed++; console.log('FAILED: ' + what); } };

// ---- files: every link and anchor leads somewhere ------------------------------------------------------------
const pages = folder => fs.readdirSync(folder, {withFileTypes: true}).flatMap(e => {
    const name = path.join(folder, e.name);
    return e.isDirectory() ? pages(name) : name.endsWith('.html') ? [name] : [];
});
const anchors = new Map();
const anchorsOf = file => {
    if (!anchors.has(file)) anchors.set(file, new Set([...fs.readFileSync(file, 'utf8').matchAll(/ id="?([^"<>\s]+)/g)].map(m => m[1])));
    return anchors.get(file);
};
// bytes of a page with all that it shows: styles, scripts, pictures, the right column, a network's module; not its weights
function weight(file, html) {
    const fonts = path.join(book, 'katex', 'fonts'), size = name => fs.existsSync(name) ? fs.statSync(name).size : 0;
    const parts = new Set([...html.matchAll(/ src="([^"#]*)"|<link rel=stylesheet href="([^"]*)"/g)].map(m => path.join(path.dirname(file), m[1] || m[2])));
    let sum = html.length + [...parts].reduce((n, name) => n + size(name), 0);
    if (html.includes('class="katex')) sum += fs.readdirSync(fonts).filter(f => f.endsWith('.woff2')).reduce((n, f) => n + size(path.join(fonts, f)), 0);
    for (const [, name] of html.matchAll(/data-try=(\w+)/g)) sum += size(`${trial}/${name}.wasm`);
    return sum;
}
// a picture of a chapter says which command made it, and leads to its records
function checkFigures(name) {
    const html = fs.readFileSync(path.join(book, name), 'utf8');
    const figures = html.match(/class=figure/g) || [], sources = html.match(/<span class=from><code>[^<]+<\/code> <a href="[^"]+">record/g) || [];
    check(figures.length === sources.length, `${name}: ${figures.length} pictures, ${sources.length} of them with a command and records`);
}
function checkLinks(file) {
    const html = fs.readFileSync(file, 'utf8');
    const bytes = weight(file, html), ids = [...html.matchAll(/ id="?([^"<>\s]+)/g)].map(m => m[1]);
    check(bytes < 3e6, `${file}: ${bytes} bytes`);
    check(new Set(ids).size === ids.length, `${file}: an anchor stands twice`);
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
async function until(what, test, seconds = 60) {
    for (let i = 0; i < 20 * seconds; i++) {
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

// what can be seen or used has a name for readers who hear the page
async function checkNames(name) {
    const nameless = await run(`return [...document.querySelectorAll('a[href], button, input, select, canvas, img, iframe')].filter(e =>
        !(e.innerText || e.textContent || '').trim() && !e.ariaLabel && !e.title && !e.alt && !(e.closest('label') && e.closest('label').textContent.trim())
        && !e.querySelector('img[alt]')).map(e => e.outerHTML.slice(0, 80))`);
    check(!nameless.length, `${name}: without a name: ${nameless[0]}`);
}
async function checkPages(names) {
    for (const name of names) {
        await open(name);
        for (const line of await complaints()) check(false, `${name}: ${line}`);
        const {width, wide} = await run('return {width: document.documentElement.scrollWidth, wide: innerWidth}');
        check(width <= wide, `${name}: ${width} pixels wide in a window of ${wide}`);
        await checkNames(name);
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
// the keys of a text, one after the other
const type = text => post('actions', {actions: [{type: 'key', id: 'keys', actions: [...text].flatMap(value => [{type: 'keyDown', value}, {type: 'keyUp', value}])}]});
const ENTER = '\ue007', TAB = '\ue004', ESCAPE = '\ue00c';
async function checkKeyboard() {
    await open('index.html');
    await type('/');
    check(await run('return document.activeElement.id') === 'search', 'the key / does not lead to the search');
    await type('reparameterise');
    await until('no result of the search', () => run('return !!document.querySelector("#found a")'));
    await type(TAB + TAB);
    const {link, outline} = await run('const e = document.activeElement; return {link: e.closest("#found") && e.href, outline: getComputedStyle(e).outlineStyle}');
    check(link, 'the results are not reached by Tab');
    check(outline !== 'none', 'what has the focus is not seen');
    await type(ENTER);
    await until('Enter does not open a result', async () => (await ask('GET', `/session/${session}/url`)) === link);
    await type('/x' + ESCAPE);
    check(await run('return document.getElementById("found").style.display') === 'none', 'Escape does not close the search');
    await open('ddpm.html');
    await run('document.getElementById("theme").focus()');
    const before = await run('return document.documentElement.dataset.theme');
    await type(ENTER);
    check(await run('return document.documentElement.dataset.theme') !== before, 'the theme does not change by the keyboard');
    await type(ENTER);
    await run('document.querySelector(".try button").focus()');
    await type(ENTER);
    await until('a network does not start by the keyboard', () => run('return !!document.querySelector(".try canvas")'));
    await run('document.querySelector(".try input").focus()');
    await type('/');
    check(await run('return document.activeElement.type') === 'number', 'the key / leaves a field that is being filled in');
}
// A film strip gives way to its film, which moves.
async function checkFilm(name) {
    await open(name);
    await run('document.querySelector(".film").scrollIntoView({block: "center"})');
    const id = Object.values(await post('element', {using: 'css selector', value: '.figure:has(.film) img'}))[0];
    const seen = () => ask('GET', `/session/${session}/element/${id}/screenshot`);
    await until(`${name}: no film strip`, () => run('return document.querySelector(".figure:has(.film) img").complete'));
    await run('document.querySelector(".film").focus()');
    await type(ENTER);
    await until(`${name}: no film`, () => run('const i = document.querySelector(".figure:has(.film) img"); return i.src.endsWith("film.png") && i.complete && i.naturalWidth > 0'));
    const first = await seen();
    await until(`${name}: the film does not move`, async () => await seen() !== first);
}
// A chapter on paper: whole, and dark on white whatever the theme is
async function checkPaper(name) {
    await open(name + '.html');
    await run('document.documentElement.dataset.theme = "dark"');
    const pdf = Buffer.from(await post('print', {page: {width: 21, height: 29.7}}), 'base64'), pages = pdf.toString('latin1').match(/\/Type \/Page\b/g) || [];
    fs.writeFileSync(`${pictures}/${name}.pdf`, pdf);
    const {images} = await run('return {images: document.images.length}'), drawn = pdf.toString('latin1').match(/\/Subtype \/Image/g) || [];
    check(pages.length > 5 && pages.length < 40, `${name}.pdf: ${pages.length} pages`);
    check(drawn.length >= images, `${name}.pdf: ${drawn.length} pictures of ${images}`);
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
    check(themes.length === 3, `${themes.length} themes: light, dark, paper`);
    for (const theme of themes) {
        const colour = Object.fromEntries([...theme.matchAll(/--(\w+): (#[0-9a-f]{6})/g)].map(m => [m[1], m[2]]));
        for (const ground of ['back', 'box', 'mark'])
            for (const name of ['text', 'soft', 'link', 'com', 'str', 'key', 'num']) {
                const [dark, light] = [colour[name], colour[ground]].map(luminance).sort((a, b) => a - b);
                check((light + 0.05) / (dark + 0.05) >= 4.5, `contrast of ${name} on ${ground} in ${theme.slice(0, 24)}`);
            }
    }
}

// ---- networks in the page: the numbers that the same C gives on this machine ------------------------------------
const trials = {vae: ['0', Array(32).fill(0.5)], ae: ['0', Array(784).fill(0.5)], gan: ['0', [1, 2, 0.5]], ddpm: ['0' + '1'.repeat(10), [1, 10]],
    guidance: ['0' + '1'.repeat(10), [1, 10, 8, 1]],
    cfg: ['0' + '1'.repeat(10 + 27), [1, 10, 3, ...Buffer.from('an orange coat above a blue bag'), 0]]};
const onThisMachine = (name, calls, numbers) => execFileSync(`${trial}/${name}`, ['draw', 'notebooks-data', calls,
    ...numbers.map(String)]).toString().trim().split('\n').map(Number);
// what a chapter's program draws, asked for the same: its pixels from 0 to 1
const asked = {ddpm: ['--steps', '10', '-n', '1'],
    cfg: ['--prompt', 'an orange coat above a blue bag', '--respace', '10', '--scale', '3', '-n', '1']};
function numbersOf(file) {
    const npy = fs.readFileSync(file), at = 10 + npy.readUInt16LE(8);
    return Array.from({length: (npy.length - at) / 4}, (_, i) => npy.readFloatLE(at + 4 * i));
}
function ofProgram(name) {
    const out = `${trial}/samples-${name}`;
    execFileSync(`${path.dirname(trial)}/${name}`, ['sample', '-q', '--threads', '1', '--seed', '1', ...asked[name], '--weights', `notebooks-data/${name}/weights.safetensors`, '--out', out]);
    return numbersOf(`${out}/samples.npy`);
}
async function checkNumbers() {
    for (const [name, [calls, numbers]] of Object.entries(trials)) {
        const network = await tryModule.start(fs.readFileSync(`${trial}/${name}.wasm`), fs.readFileSync(`${trial}/${name}.weights`));
        let here;
        for (const call of calls) here = network.draw(+call, numbers);
        const native = onThisMachine(name, calls, numbers), difference = Math.max(...here.map((x, i) => Math.abs(x - native[i])));
        check(native.length === here.length && difference < 1e-3, `${name}: differs by ${difference}`);
        check(Math.max(...native) - Math.min(...native) > 0.1, `${name}: draws nothing`);
        if (!asked[name]) continue;
        const drawn = ofProgram(name), apart = Math.max(...drawn.map((x, i) => Math.abs(x - (here[i] + 1) / 2)));
        check(2 * drawn.length + 1 === here.length && apart < 1e-3, `${name}: differs from what the program draws by ${apart}`);
    }
}
const canvases = 'return [...document.querySelectorAll(".try canvas")].map(c => [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data])';
const comesToAnEnd = name => until(`${name}: does not come to an end`, () => run('return document.querySelector(".try").dataset.left === "0"'), 600);
const start = () => run('document.querySelector(".try button").click()');
// Ten steps in the page end in the image that this machine draws.
async function checkSteps(name) {
    await open(name + '.html');
    await start();
    await until(`${name}: nothing is drawn`, () => run('return !!document.querySelector(".try select")'));
    await run('const s = document.querySelector(".try [name=steps]"); s.value = 10; [...document.querySelectorAll(".try button")].at(-1).click()');
    await comesToAnEnd(name);
    const [drawn] = await run(canvases), native = onThisMachine(name, ...trials[name]), channels = (native.length - 1) / 2 / (drawn.length / 4);
    const byte = i => 255 * (Math.min(1, Math.max(-1, native[channels * (i >> 2) + (i & 3) % channels])) + 1) / 2;
    check(drawn.every((v, i) => (i & 3) === 3 || Math.abs(v - byte(i)) <= 1), `${name}: another image than on this machine`);
}
// A prompt in the page gives the picture that the command below it gives. Too long a one is cut, and the page says so.
async function checkPrompt(prompt, cut) {
    await run('const p = document.querySelector(".try [type=text]"); p.value = arguments[0]; p.dispatchEvent(new Event("change"))', prompt);
    await comesToAnEnd(prompt);
    const command = await run('return document.querySelector(".try code").textContent'), out = `${trial}/prompt`;
    const text = await run('return document.querySelector(".try").textContent');
    check(/of which the network reads 32/.test(text) === cut, `${prompt}: ${cut ? 'is cut, and the page does not say so' : 'is not cut'}`);
    execFileSync('sh', ['-c', `${command.replace('build', path.dirname(trial))} -q --threads 1 --out '${out}' 2>/dev/null`]);
    const [drawn] = await run(canvases), program = numbersOf(`${out}/samples.npy`);
    // the base's sample is rounded to bytes: a number in the middle between two goes up here and down there, and the
    // upsampler moves a few pixels around it a little
    const apart = program.map((v, i) => Math.abs(drawn[4 * Math.floor(i / 3) + i % 3] - 255 * v));
    check(program.length === drawn.length / 4 * 3 && Math.max(...apart) <= 4 && apart.filter(d => d > 1).length <= 0.001 * apart.length,
        `${prompt}: another image than that of ${command}, by up to ${Math.max(...apart)}`);
}
async function checkTrials() {
    for (const name of Object.keys(trials)) {
        await open(name + '.html');
        await start();
        await until(`${name}: nothing is drawn`, async () => (await run(canvases)).some(c => Math.max(...c.filter((_, i) => i % 4 < 3)) > 100));
        await checkNames(name);
        for (const line of await complaints()) check(false, `${name}: ${line}`);
        await picture(`try-${name}-1400`);
    }
    for (const name of ['ddpm', 'guidance', 'cfg']) await checkSteps(name);
    await checkPrompt("a zorbly's ☂ of <b>quux</b>", false);
    await checkPrompt('a red dress above a green bag and '.repeat(8), true);
    await run('document.querySelector(".try").scrollIntoView()');
    await picture('prompt-1400');
    for (const line of await complaints()) check(false, `cfg: ${line}`);
}

(async () => {
    const all = pages(book), names = fs.readdirSync(book).filter(n => n.endsWith('.html'));
    check(names.length > 20 && all.length > 300, `${names.length} pages, ${all.length} with code`);
    all.forEach(checkLinks);
    for (const name of names) if (fs.existsSync(`chapters/${path.basename(name, '.html')}`)) checkFigures(name);
    checkFigures('mae.html');
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
        await checkKeyboard();
        for (const name of ['ddpm.html', 'iddpm.html']) await checkFilm(name);
        await checkPaper('vae');
        for (const name of ['index', 'tensor', 'data', 'scores']) { await open(name + '.html'); await picture(name + '-1400'); }
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
