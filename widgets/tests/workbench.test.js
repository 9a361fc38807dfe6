import assert from "node:assert/strict";
import { test } from "node:test";
import { layoutFor, PANES, TITLES } from "../workbench/layout.js";

test("every size has a layout, and the fixed ones fill the room unless it is very high", () => {
  for (let width = 300; width <= 2600; width += 50) {
    for (let room = 300; room <= 3000; room += 50) {
      const { name, height } = layoutFor(width, room);
      const said = `${width} x ${room}: ${name}, ${height}`;
      if (name === "column") assert.equal(height, 0);
      else if (room <= 1400) assert.ok(height >= room && height >= 440, said);
      else assert.ok(height >= 1400 && height <= 1600, said);
      if (width >= 860 && room >= 440 && room <= 1400) assert.equal(height, room, "no scrolling");
      // no two columns where one is too narrow, no tabs where all have room
      assert.equal(name === "column", width < 560 || (width < 860 && room < 640));
      assert.equal(name === "all", width >= 1800 && room >= 1000);
    }
  }
});

test("four views fill exactly what JupyterLab gives an output at 1440 x 900", () => {
  assert.deepEqual(layoutFor(1050, 750), { name: "four", height: 750 });
  assert.deepEqual(layoutFor(1272, 776.4), { name: "four", height: 776 });
});

test("every view has one place and a title", () => {
  const views = PANES.flatMap((pane) => pane.views);
  assert.deepEqual([...new Set(views)], views);
  assert.deepEqual(Object.keys(TITLES).sort(), [...views].sort());
});
