// try.js — runs a chapter's C in the page: a WebAssembly module and its weights, and what is shown of them. TRY[name] =
// {wasm, weights}, both in base64, comes from try/NAME.js when the reader asks for it: files opened from the disk cannot be fetched.
const tryModule = {
    bytes: text => Uint8Array.from(atob(text), c => c.charCodeAt(0)),

    half(h) {
        const sign = h & 0x8000 ? -1 : 1, exponent = h >> 10 & 31, fraction = h & 1023;
        return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
    },

    // bytes of the module, bytes of its weights -> {draw(what, numbers)}, which returns a Float32Array
    async start(wasm, weights) {
        const nothing = new Proxy({}, {get: (_, name) => name === 'proc_exit' ? code => { throw new Error(`exit ${code}`); } : () => 0});
        const c = (await WebAssembly.instantiate(wasm, {wasi_snapshot_preview1: nothing})).instance.exports;
        const floats = (at, n) => new Float32Array(c.memory.buffer, at, n);
        c._initialize();
        c.try_start();
        const view = new DataView(weights.buffer, weights.byteOffset, weights.byteLength);
        let at = 0;
        for (let i = 0; i < c.try_tensors(); i++) {
            const to = floats(c.try_values(i), c.try_length(i)), size = view.getUint16(at, true);
            at += 2;
            for (let k = 0; k < to.length; k++, at += size)
                to[k] = size === 2 ? this.half(view.getUint16(at, true)) : view.getFloat32(at, true);
        }
        if (at !== weights.byteLength) throw new Error('the weights are of another network');
        return {draw(what, numbers = []) {
            floats(c.try_input(), numbers.length).set(numbers);
            const n = c.try_draw(what);
            return floats(c.try_output(), n).slice();
        }};
    },
};
if (typeof module !== 'undefined') module.exports = tryModule;

// ---- what the reader sees ------------------------------------------------------------------------------------------
const SIDE = 28;
const element = (name, properties = {}, ...children) => {
    const e = Object.assign(document.createElement(name), properties);
    e.append(...children);
    return e;
};
function canvas(label) {
    const c = element('canvas', {width: SIDE, height: SIDE, title: label, role: 'img'});
    c.setAttribute('aria-label', label);
    return c;
}
const labelled = (label, ...children) => element('label', {}, label + ' ', ...children);
const slider = (min, max, value, step = 0.01) => element('input', {type: 'range', min, max, step, value});
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

// pixels from `low` to 1, of one channel or of three
function show(where, pixels, low = 0, channels = 1) {
    const side = Math.sqrt(pixels.length / channels), image = new ImageData(side, side);
    for (let i = 0; i < 4 * side * side; i++) {
        const pixel = pixels[channels * (i >> 2) + (i & 3) % channels];
        image.data[i] = (i & 3) === 3 ? 255 : 255 * (pixel - low) / (1 - low);
    }
    where.width = where.height = side;
    where.getContext('2d').putImageData(image, 0, 0);
}

// Draws one step at a time, x_t beside the x_0 that the network sees in it; `choices` are shown, and `chosen` are their numbers;
// `begins` is told the seed and the steps.
function drawSteps(box, network, {choices = [], chosen = () => [], begins = () => {}, channels = 1, counts = [10, 25, 50, 100, 1000], usual = 50}) {
    const noisy = canvas('x at t'), seen = canvas('predicted x at 0'), left = element('span');
    const seed = element('input', {type: 'number', value: 1, min: 0, max: 1e6});
    const steps = element('select', {name: 'steps'}, ...counts.map(n => element('option', {value: n, textContent: n, selected: n === usual})));
    let run = 0;
    const draw = async () => {
        const mine = ++run;
        begins(+seed.value, +steps.value);
        let x = network.draw(0, [+seed.value, +steps.value, ...chosen()]);
        for (;;) {
            const size = (x.length - 1) / 2;
            show(noisy, x.subarray(0, size), -1, channels);
            show(seen, x.subarray(size, 2 * size), -1, channels);
            left.textContent = ` ${x[2 * size]} steps left`;
            box.dataset.left = x[2 * size];
            await new Promise(requestAnimationFrame);
            if (mine !== run || !x[2 * size]) return;
            x = network.draw(1);
        }
    };
    box.append(noisy, seen, element('p', {}, labelled('seed', seed), labelled('steps', steps), ...choices,
        element('button', {onclick: draw, textContent: 'draw'}), left,
        ' Left: the image on its way. Right: what the network takes it for.'));
    draw();
    return draw;
}

const demos = {
    // a plane through the latent space; where the pointer is, or the sliders are, is decoded
    vae(box, network) {
        const picture = canvas('decoded'), pad = element('div', {className: 'pad', title: 'move the pointer here'});
        const across = slider(-1.5, 1.5, 0), down = slider(-1.5, 1.5, 0);
        let u, v;
        const draw = () => show(picture, network.draw(0, u.map((a, i) => a * across.value + v[i] * down.value)));
        const turn = () => { u = Array.from({length: 32}, normal); v = Array.from({length: 32}, normal); draw(); };
        pad.addEventListener('pointermove', event => {
            const r = pad.getBoundingClientRect();
            across.value = 3 * (event.clientX - r.left) / r.width - 1.5;
            down.value = 3 * (event.clientY - r.top) / r.height - 1.5;
            draw();
        });
        across.oninput = down.oninput = draw;
        box.append(pad, picture, element('p', {}, labelled('across', across), labelled('down', down),
            element('button', {onclick: turn, textContent: 'another plane'})));
        turn();
    },
    // from one noise to another along the great circle
    gan(box, network) {
        const picture = canvas('generated'), share = slider(0, 1, 0.5, 1 / 64);
        let seed = 1;
        const draw = () => show(picture, network.draw(0, [seed, seed + 1, +share.value]));
        share.oninput = draw;
        box.append(picture, element('p', {}, labelled('from one noise to another', share),
            element('button', {onclick: () => { seed += 2; draw(); }, textContent: 'two others'})));
        draw();
    },
    // what the reader draws, its code, and what is left of it
    ae(box, network) {
        const drawn = new Float32Array(SIDE * SIDE), pad = canvas('draw here'), picture = canvas('reconstruction');
        const codes = Array.from({length: 32}, () => slider(-15, 15, 0, 0.1));
        const decode = () => show(picture, network.draw(1, codes.map(c => +c.value)));
        const encode = () => { network.draw(0, drawn).forEach((h, i) => { codes[i].value = h; }); decode(); };
        const paint = (x, y) => {
            for (let i = 0; i < SIDE; i++)
                for (let j = 0; j < SIDE; j++)
                    drawn[i * SIDE + j] = Math.max(drawn[i * SIDE + j], Math.min(1, 2.2 - Math.hypot(i + .5 - y, j + .5 - x)));
            show(pad, drawn);
            encode();
        };
        const shirt = () => {
            for (let i = 0; i < SIDE; i++)
                for (let j = 0; j < SIDE; j++) {
                    const body = Math.abs(j - 13.5) < 6 && i > 2, sleeve = Math.abs(j - 13.5) < 11 && i > 2 && i < 10;
                    drawn[i * SIDE + j] = body || sleeve ? 0.7 : 0;
                }
            show(pad, drawn);
            encode();
        };
        pad.style.touchAction = 'none';
        pad.addEventListener('pointermove', event => {
            const r = pad.getBoundingClientRect();
            if (event.buttons) paint(SIDE * (event.clientX - r.left) / r.width, SIDE * (event.clientY - r.top) / r.height);
        });
        codes.forEach((c, i) => { c.oninput = decode; c.ariaLabel = `number ${i + 1} of the code`; });
        box.append(pad, picture, element('p', {}, 'Draw on the left; the right is what 32 numbers keep of it. ',
            element('button', {onclick: () => { drawn.fill(0); show(pad, drawn); encode(); }, textContent: 'clear'}),
            element('button', {onclick: shirt, textContent: 'a T-shirt'})), element('div', {className: 'codes'}, ...codes));
        shirt();
    },
    ddpm: (box, network) => drawSteps(box, network, {}),
    // the same, steered to a class
    guidance(box, network) {
        const kinds = ['T-shirt', 'trousers', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag', 'ankle boot'];
        const kind = element('select', {}, ...kinds.map((k, i) => element('option', {value: i, textContent: k, selected: i === 8})));
        const scale = slider(0, 8, 1, 0.25), value = element('span', {textContent: '1'});
        const draw = drawSteps(box, network, {
            choices: [labelled('class', kind), labelled('scale', scale), value], chosen: () => [+kind.value, +scale.value], usual: 25});
        scale.oninput = () => { value.textContent = scale.value; };
        kind.onchange = scale.onchange = draw;
    },
    // what the reader asks for
    cfg(box, network) {
        const example = 'an orange coat above a blue bag', prompt = element('input', {type: 'text', value: example, maxLength: 1000});
        const scale = slider(0, 8, 3, 0.25), value = element('span', {textContent: '3'});
        const cut = element('p'), command = element('code');
        const chosen = () => [+scale.value, ...new TextEncoder().encode(prompt.value), 0];
        box.append(element('p', {}, labelled('prompt', prompt)), cut);
        const draw = drawSteps(box, network, {
            choices: [labelled('guidance scale', scale), value], chosen, channels: 3, counts: [10, 25, 50, 100],
            begins(seed, steps) {
                prompt.value ||= example;
                const [tokens, most] = network.draw(2, [seed, steps, ...chosen()]), quoted = prompt.value.replaceAll("'", "'\\''");
                cut.textContent = tokens > most ? `${tokens} tokens, of which the network reads ${most}; the rest is cut` : '';
                command.textContent = `build/cfg sample --prompt '${quoted}' --scale ${scale.value} --respace ${steps} --seed ${seed} ` +
                    '-n 1 --weights notebooks-data/cfg/weights.safetensors';
            },
        });
        box.append(element('p', {}, 'The program draws the same: ', command));
        scale.oninput = () => { value.textContent = scale.value; };
        prompt.onchange = scale.onchange = draw;
    },
};

if (typeof document !== 'undefined')
    document.querySelectorAll('.try').forEach(box => {
        const name = box.dataset.try, button = box.querySelector('button');
        button.addEventListener('click', async () => {
            button.disabled = true;
            const script = element('script', {src: `try/${name}.js`});
            await new Promise((resolve, reject) => { script.onload = resolve; script.onerror = reject; document.head.append(script); });
            const network = await tryModule.start(tryModule.bytes(TRY[name].wasm), tryModule.bytes(TRY[name].weights));
            button.remove();
            demos[name](box, network);
        });
    });
