// The parts in a component of Streamlit. Appended to their scripts in one module. Streamlit carries the requests to
// Python and the answers back: both are lists by id, since it may join several changes to one.
const ALIVE_MS = 2000; // how often a pending request makes sure that the server is there

export default function ({ data, parentElement, setStateValue }) {
  const client = (parentElement.client ??= makeClient());
  client.send = () => setStateValue("requests", client.waiting());
  client.receive(data.answers);
  parentElement.writer ??= makeWriter((id) => parentElement.getElementById(id), client.service());
  const { sheet } = parentElement.writer;
  sheet.watch.observe(parentElement.getElementById("sheet")); // Streamlit may have stopped it while the script loaded
  sheet.draw(); // again after a change of the theme
  return () => sheet.watch.disconnect();
}

function makeClient() {
  const pending = new Map();
  const prefix = Math.random().toString(36).slice(2);
  let count = 0;

  const client = { send: null, waiting, receive, service };

  function waiting() {
    return [...pending.values()].map(({ id, kind, body }) => ({ id, kind, body }));
  }

  function receive(answers) {
    for (const [id, answer] of Object.entries(answers ?? {})) {
      const request = pending.get(id);
      if (!request) continue;
      pending.delete(id);
      if (answer.error) request.reject(new ServiceError(answer.error, answer.status));
      else request.resolve(answer.content);
    }
  }

  function ask(kind, body, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const id = `${prefix}-${count++}`;
      const finish = (settle) => (value) => {
        clearInterval(alive);
        settle(value);
      };
      pending.set(id, { id, kind, body, resolve: finish(resolve), reject: finish(reject) });
      const alive = setInterval(async () => {
        const answer = await fetch("_stcore/health").catch(() => null);
        if (!answer?.ok && pending.delete(id)) finish(reject)(new Error("the server is gone"));
      }, ALIVE_MS);
      signal?.addEventListener("abort", () => pending.delete(id) && finish(reject)(signal.reason));
      queueMicrotask(() => client.send()); // once the component is mounted
    });
  }

  async function contentOf(file) {
    const url = await new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(file);
    });
    return url.slice(url.indexOf(",") + 1);
  }

  function service() {
    return {
      recognize: async (item, quality, signal) => {
        const body = item instanceof Blob ? { file: await contentOf(item) } : { ink: JSON.stringify(item) };
        return ask("recognize", { ...body, quality }, signal);
      },
      typeset: (latex, signal) => ask("typeset", { latex }, signal),
      examples: ask("examples", {}),
    };
  }
  return client;
}
