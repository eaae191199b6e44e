// math.js FILE — FILE holds [[display, formula], ...]; prints each as HTML, one a line.
const katex = require('/usr/share/nodejs/katex');
const formulas = JSON.parse(require('fs').readFileSync(process.argv[2], 'utf8'));
for (const [displayMode, formula] of formulas)
    console.log(katex.renderToString(formula, {displayMode, throwOnError: true, output: 'htmlAndMathml'}).replace(/\n/g, ' '));
