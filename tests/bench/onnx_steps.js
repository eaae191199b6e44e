/* onnx_steps.js — a sampling step in ONNX Runtime, from the graph that torch_steps.py exports; started
 * by bench_steps. The whole step is in the graph, the sampler's arithmetic too.
 *
 *     node onnx_steps.js worker MODEL THREADS     runs steps when told to on its input
 *     node onnx_steps.js check MODEL STEPS        the sum of squares of x after each step */
"use strict";
const fs = require("fs");
const readline = require("readline");
let ort;
try {
    ort = require("onnxruntime-node");
} catch (error) {
    process.exit(3);
}

/* MB */
function residentPeak() {
    return Number(/VmHWM:\s*(\d+)/.exec(fs.readFileSync("/proc/self/status", "utf8"))[1]) / 1024;
}
const atStart = residentPeak();

async function open(model, threads) {
    const given = JSON.parse(fs.readFileSync(model + ".json", "utf8"));
    const session = await ort.InferenceSession.create(model, {
        executionProviders: ["cpu"], graphOptimizationLevel: "all", executionMode: "sequential",
        intraOpNumThreads: threads, interOpNumThreads: 1});
    const inputs = {};
    function set(name, numbers) {
        inputs[name] = new ort.Tensor("float32", Float32Array.from(numbers), given.shapes[name]);
    }
    for (const name in given.inputs) set(name, given.inputs[name]);
    let y, next = 0;
    async function step() {
        const at = given.steps[next++ % given.steps.length];
        for (const name in at) set(name, at[name]);
        y = (await session.run(inputs)).y;
        if (given.x_is_y) inputs.x = y;
    }
    return {step, parameters: given.parameters,
            squares: () => y.data.reduce((sum, v) => sum + v * v, 0)};
}

async function worker(model, threads) {
    const net = await open(model, Number(threads));
    await net.step();
    const version = require("onnxruntime-node/package.json").version;
    console.log(`ready ${net.parameters} 0 onnxruntime-${version} -`);
    for await (const line of readline.createInterface({input: process.stdin})) {
        if (!line.startsWith("run")) {
            console.log(`${residentPeak().toFixed(1)} ${atStart.toFixed(1)}`);
            continue;
        }
        const times = [];
        await net.step();
        for (let i = 0; i < Number(line.split(" ")[1]); i++) {
            const start = process.hrtime.bigint();
            await net.step();
            times.push((Number(process.hrtime.bigint() - start) * 1e-6).toFixed(4));
        }
        console.log(times.join(" "));
    }
}

async function check(model, steps) {
    const net = await open(model, 1);
    console.log(`params ${net.parameters}`);
    for (let i = 0; i < Number(steps); i++) {
        await net.step();
        console.log(`loss ${net.squares().toPrecision(9)} norm 0`);
    }
}

({worker, check})[process.argv[2]](...process.argv.slice(3));
