// What TensorFlow.js makes of the two graphs, and how far the ONNX file made of them is from it.
//
//     npm install @tensorflow/tfjs onnxruntime-web
//     node run_tfjs.mjs package/models ../bundled/age_gender_ssrnet.onnx
//
// Feeds both the same pictures of noise, flat and smooth ones, from 0 to 255, and prints the largest difference of each output.

import { readFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import ort from 'onnxruntime-web';

const SIDE = 64;
const PIXELS = SIDE * SIDE;
const PICTURES = 20;
const LUMA = [0.299, 0.587, 0.114];

async function graph(folder, name) {
  const { modelTopology, weightsManifest } = JSON.parse(await readFile(`${folder}/${name}.json`, 'utf8'));
  const files = await Promise.all(weightsManifest.flatMap(({ paths }) => paths).map((path) => readFile(`${folder}/${path}`)));
  const weightData = new Uint8Array(Buffer.concat(files)).buffer;
  const weightSpecs = weightsManifest.flatMap(({ weights }) => weights);
  return tf.loadGraphModel({ load: async () => ({ modelTopology, weightSpecs, weightData }) });
}

/** Pictures as rows of red, green and blue, pixel by pixel: the same ones at every run. */
function pictures() {
  let state = 1;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  return Array.from({ length: PICTURES }, (_, number) => Float32Array.from({ length: 3 * PIXELS }, (_, at) => {
    const [pixel, channel] = [Math.floor(at / 3), at % 3];
    const [x, y] = [pixel % SIDE, Math.floor(pixel / SIDE)];
    if (number % 3 === 0) return Math.floor(random() * 256);
    if (number % 3 === 1) return (13 * number + 40 * channel) % 256;
    return Math.round(127.5 + 127.5 * Math.sin((x * (1 + channel) + y * number) / 20));
  }));
}

function planes(picture) {
  return Float32Array.from(picture, (_, at) => picture[3 * (at % PIXELS) + Math.floor(at / PIXELS)]);
}

const [, , folder, file] = process.argv;
await tf.setBackend('cpu');
const [age, gender] = [await graph(folder, 'age'), await graph(folder, 'gender')];
const session = await ort.InferenceSession.create(file);

const largest = { age_years: 0, female_share: 0 };
for (const picture of pictures()) {
  const blueFirst = picture.map((_, at) => picture[at - (at % 3) + 2 - (at % 3)]);
  const grey = Float32Array.from({ length: PIXELS }, (_, pixel) =>
    LUMA.reduce((sum, share, channel) => sum + share * picture[3 * pixel + channel], 0) / 127.5 - 1);
  const [years] = await age.predict(tf.tensor4d(blueFirst, [1, SIDE, SIDE, 3])).data();
  const [female] = await gender.predict(tf.tensor4d(grey, [1, SIDE, SIDE, 1])).data();

  const faces = new ort.Tensor('float32', planes(picture), [1, 3, SIDE, SIDE]);
  const [forFemale, forMale, hundreds] = (await session.run({ faces })).attributes.data;
  const share = 1 / (1 + Math.exp(forMale - forFemale));
  largest.age_years = Math.max(largest.age_years, Math.abs(years - 100 * hundreds));
  largest.female_share = Math.max(largest.female_share, Math.abs(female - share));
}
console.log(largest);
