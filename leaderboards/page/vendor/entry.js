// What the page uses of its two libraries; build.sh bundles it.
export { plot, axisX, axisY, dot, gridY, line, ruleX, ruleY, text } from "@observablehq/plot";
export { html, nothing, render } from "lit-html";
