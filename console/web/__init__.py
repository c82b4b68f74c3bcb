"""The console: pages rendered on the server, over the use cases of `console.admin`.

A page module adds its routes to a `WebRoutes`; `console.web.app` lists them all.
Pages read and work without script; `assets/console.js` only makes them live.
"""
