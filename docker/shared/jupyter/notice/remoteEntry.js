// What the portal has to say of this session, as a notification of JupyterLab's own. Behind no portal it does nothing.
// Written by hand in the form that JupyterLab loads (a container of module federation), so that nothing need be built.
(() => {
  const EVERY_MS = 20000;
  const page = () => JSON.parse(document.getElementById("jupyter-config-data").textContent);

  const ask = async (url) => {
    try {
      const answer = await fetch(url, { credentials: "same-origin", redirect: "error" });
      return answer.ok ? (await answer.json()).notice : "";
    } catch {
      return ""; // the Hub is away for a moment
    }
  };

  const activate = (app) => {
    const { hubPrefix, hubServerName } = page();
    if (!hubPrefix || !hubServerName) return;
    const url = `${hubPrefix.replace(/\/$/, "")}/notice/${encodeURIComponent(hubServerName)}`;
    let shown = "", id = null;
    const look = async () => {
      const notice = await ask(url);
      if (notice && notice !== shown) {
        const args = { message: notice, type: "warning", options: { autoClose: false } };
        if (id !== null) await app.commands.execute("apputils:dismiss-notification", { id });
        id = await app.commands.execute("apputils:notify", args);
        shown = notice;
      }
    };
    void look();
    setInterval(look, EVERY_MS);
  };

  const plugin = { id: "labctl-notice:plugin", autoStart: true, activate };
  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["labctl-notice"] = {
    init: async () => undefined,
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();
