// Runs the exported network with ONNX Runtime, beside the page's own thread.

import * as ort from "./ort.mjs";

// Threads need a page that is isolated from others, by two headers of its server.
ort.env.wasm.numThreads = self.crossOriginIsolated
  ? Math.min(4, navigator.hardwareConcurrency || 1)
  : 1;

const say = (state) => self.postMessage({ state });
let loading = null;

async function bytesOf(name) {
  const answer = await fetch(new URL(name, import.meta.url));
  if (!answer.ok) throw new Error(`${name} is missing`);
  return answer;
}

async function load() {
  say("Loading the engine, once…");
  const packed = (await bytesOf("engine.bin")).body.pipeThrough(new DecompressionStream("gzip"));
  ort.env.wasm.wasmBinary = await new Response(packed).arrayBuffer();
  say("Loading the network, once…");
  const [transformer, style] = await Promise.all(
    ["transformer.onnx", "style.onnx"].map(async (name) => {
      const content = new Uint8Array(await (await bytesOf(name)).arrayBuffer());
      return ort.InferenceSession.create(content, { executionProviders: ["wasm"] });
    }),
  );
  return { transformer, style };
}

function tensorOf({ data, width, height }) {
  const values = new Float32Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      values[3 * pixel + channel] = data[4 * pixel + channel] / 255;
    }
  }
  return new ort.Tensor("float32", values, [1, height, width, 3]);
}

function rgbaOf({ data, dims: [, height, width] }) {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      rgba[4 * pixel + channel] = data[3 * pixel + channel] * 255; // clamped and rounded
    }
  }
  return { rgba, width, height };
}

async function embed(session, picture) {
  const { embedding } = await session.run({ painting: tensorOf(picture) });
  return embedding.data;
}

async function paint({ photo, style, strength }) {
  loading ??= load();
  const { transformer, style: predictor } = await loading;
  say("Painting…");
  const began = performance.now();
  let vector = await embed(predictor, style);
  if (strength < 1) {
    const own = await embed(predictor, photo);
    vector = vector.map((value, i) => own[i] + strength * (value - own[i]));
  }
  const embedding = new ort.Tensor("float32", vector, [1, vector.length]);
  const { painted } = await transformer.run({ images: tensorOf(photo), embedding });
  return { ...rgbaOf(painted), seconds: (performance.now() - began) / 1000 };
}

self.addEventListener("message", async ({ data }) => {
  try {
    const answer = await paint(data);
    self.postMessage(answer, [answer.rgba.buffer]);
  } catch (error) {
    loading = null;
    self.postMessage({ error: error.message || String(error) });
  }
});
