import assert from "node:assert/strict";
import { test } from "node:test";
import { placed } from "../kit/tip.js";

test("words come after their point, before it where there is no room, and never outside", () => {
  assert.equal(placed(10, 50, 200), 24);
  assert.equal(placed(134, 50, 200), 148);
  assert.equal(placed(135, 50, 200), 71);
  for (const at of [-500, -1, 0, 60, 99, 100, 900]) {
    const start = placed(at, 60, 100);
    assert.ok(start >= 2 && start + 60 <= 98, `${at}: ${start}`);
  }
  assert.equal(placed(50, 300, 100), 2); // larger than its home: its beginning is seen
});
