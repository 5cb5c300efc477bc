// The page that paints in the browser: pictures in, a message to the worker, the result out.

const here = new URL(".", import.meta.url);
const find = (id) => document.getElementById(`nst-${id}`);
const worker = new Worker(new URL("worker.mjs", here), { type: "module" });
const chosen = { photo: null, painting: null };
let painting = false;

const say = (text) => { find("state").textContent = text; };

function show(canvas, image, longest) {
  const scale = Math.min(1, longest / Math.max(image.width, image.height));
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return context;
}

async function choose(kind, blob, name) {
  try {
    chosen[kind] = await createImageBitmap(blob);
  } catch {
    say(`This browser cannot read ${name}: choose a JPEG, PNG or WebP picture.`);
    return;
  }
  show(find(kind).querySelector("canvas"), chosen[kind], 360);
  find(kind).classList.add("nst-chosen");
  say(chosen.photo && chosen.painting ? "Ready to paint." : "Now the other picture.");
}

function pixelsOf(image, longest) {
  const canvas = document.createElement("canvas");
  const context = show(canvas, image, longest);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return { data, width: canvas.width, height: canvas.height };
}

for (const kind of ["photo", "painting"]) {
  const drop = find(kind);
  const input = drop.querySelector("input");
  input.addEventListener("change", () => {
    if (input.files.length) choose(kind, input.files[0], input.files[0].name);
  });
  drop.addEventListener("dragover", (event) => event.preventDefault());
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) choose(kind, file, file.name);
  });
}

const samples = await (await fetch(new URL("samples.json", here))).json();
for (const { file, kind, title } of samples) {
  const image = new Image();
  image.src = new URL(file, here);
  image.alt = image.title = title;
  image.tabIndex = 0;
  const take = async () => choose(kind, await (await fetch(image.src)).blob(), title);
  image.addEventListener("click", take);
  image.addEventListener("keydown", (event) => { if (event.key === "Enter") take(); });
  find("samples").append(image);
}

find("paint").addEventListener("click", () => {
  if (painting) return;
  if (!chosen.photo || !chosen.painting) {
    say("Choose a photograph and a painting first.");
    return;
  }
  const photo = pixelsOf(chosen.photo, Number(find("size").value));
  const style = pixelsOf(chosen.painting, 512);
  if (Math.min(photo.width, photo.height, style.width, style.height) < 64) {
    say("A picture is too small: 64 pixels along each side are the least.");
    return;
  }
  painting = true;
  find("paint").disabled = true;
  worker.postMessage({ photo, style, strength: Number(find("strength").value) });
});

worker.addEventListener("error", (event) => {
  painting = false;
  find("paint").disabled = false;
  say(`The engine did not start: ${event.message || "its files are missing"}.`);
});

worker.addEventListener("message", ({ data }) => {
  if (data.state) {
    say(data.state);
    return;
  }
  painting = false;
  find("paint").disabled = false;
  if (data.error) {
    say(`That failed: ${data.error}. A smaller size needs less memory.`);
    return;
  }
  const { rgba, width, height, seconds } = data;
  const canvas = find("result");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  canvas.hidden = false;
  canvas.toBlob((blob) => {
    const link = find("save");
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(blob);
    link.download = "painted.png";
    link.hidden = false;
  }, "image/png");
  say(`${width} × ${height} pixels in ${seconds.toFixed(1)} s.`);
});
