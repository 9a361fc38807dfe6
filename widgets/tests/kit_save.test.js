import assert from "node:assert/strict";
import { test } from "node:test";
import { csvOf } from "../kit/save.js";
import { xml } from "../kit/svg_surface.js";

test("cells as in RFC 4180", () => {
  const rows = [
    ["name", "n"],
    ['say "a", b', 1],
    ["two\nlines", 0.5],
    ["", null],
    ["plain", NaN],
  ];
  assert.equal(csvOf(rows), 'name,n\r\n"say ""a"", b",1\r\n"two\nlines",0.5\r\n,\r\nplain,\r\n');
});

test("text that a spreadsheet would run is quoted, a negative number is not", () => {
  assert.equal(
    csvOf([["=1+1", "+x", "-x", "@x", "\tx", -1, "a=1"]]),
    "'=1+1,'+x,'-x,'@x,'\tx,-1,a=1\r\n",
  );
  assert.equal(csvOf([["-1.5", "+2e-5", "'=1", "'tis"]]), "-1.5,+2e-5,''=1,'tis\r\n");
});

test("what a terminal would obey is written out", () => {
  assert.equal(csvOf([["P1\u001b[2J\u202e\u009b", "a\tb"]]), "P1\\u001b[2J\\u202e\\u009b,a\tb\r\n");
});

test("text in SVG is no markup", () => {
  const safe = xml(`<img src=x onerror="alert('1')">&\u0000\u0008`);
  assert.ok(!/[<>"'\u0000-\u001f]/.test(safe));
  assert.equal(
    safe.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code)),
    `<img src=x onerror="alert('1')">&`,
  );
});
