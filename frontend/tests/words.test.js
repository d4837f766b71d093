/** Unit tests of the pure words module: `node --test frontend/tests/`. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, cameraState, certainty, clock, initials, isOn } from "../scripts/words.js";

const now = new Date(2026, 0, 2, 12, 0, 0);

test("a similarity becomes a word", () => {
  assert.equal(certainty(0.7), "sure");
  assert.equal(certainty(0.5), "likely");
  assert.equal(certainty(0.38), "unsure");
  assert.equal(certainty(null), "");
});

test("the date appears when it is not today", () => {
  assert.equal(clock(new Date(2026, 0, 2, 9, 5, 7), now), "09:05:07");
  assert.equal(clock(new Date(2026, 0, 1, 9, 5, 7), now), "1 Jan 09:05:07");
});

test("how long ago is said in the largest fitting unit", () => {
  assert.equal(ago(new Date(now.getTime() - 12_000), now), "12 s ago");
  assert.equal(ago(new Date(now.getTime() - 3 * 60_000), now), "3 min ago");
  assert.equal(ago(new Date(now.getTime() - 5 * 3_600_000), now), "5 h ago");
  assert.equal(ago(new Date(now.getTime() + 5_000), now), "0 s ago", "clocks of camera and browser differ");
});

test("a camera's state carries its frame rate only while it runs", () => {
  assert.equal(cameraState({ status: "running", stats: { fps: 24.6 } }), "running, 25 frames/s");
  assert.equal(cameraState({ status: "reconnecting", stats: { fps: 24.6 } }), "reconnecting");
});

test("initials of any script", () => {
  assert.equal(initials("Ada Lovelace"), "AL");
  assert.equal(initials("ada"), "A");
  assert.equal(initials("  李 小龙 "), "李小");
  assert.equal(initials(""), "");
});

test("what is on can be stopped", () => {
  assert.deepEqual(["running", "reconnecting", "stopped", "error"].map(isOn), [true, true, false, false]);
});
