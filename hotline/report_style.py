"""The look of reports. Colours of series are told apart by shape and dash too, never by colour alone."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --raised: #f6f7f9; --line: #d9dde3; --grid: #e8ebef; --ink: #1b1f24;
  --quiet: #59636e; --warn: #fff5dc; --warn-line: #c88a00; --heat: 31, 111, 208; --bad: #c0262d; --good: #1a7f4b;
  --s0: #1f6fd0; --s1: #c4520a; --s2: #16825d; --s3: #8a3fc2; --s4: #946800; --s5: #b8256e; --s6: #4b5a68; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --raised: #1d2127; --line: #3a414a; --grid: #282e35;
  --ink: #e8ebef; --quiet: #9da7b3; --warn: #2e2713; --warn-line: #d9a11f; --heat: 88, 160, 255; --bad: #ff8a85;
  --good: #5fd39a; --s0: #6caeff; --s1: #ff9d5c; --s2: #4fcf9d; --s3: #c69bff; --s4: #e3b341; --s5: #ff8fbd; --s6: #a9b8c6; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.55 system-ui, "Segoe UI", "Noto Sans",
  "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
.prose { max-width: 46rem; color: var(--quiet); margin: .25rem 0 1rem; }
.facts { display: flex; flex-wrap: wrap; gap: .25rem 2rem; margin: 1rem 0 0; }
.facts div { display: flex; gap: .5rem; max-width: 100%; } .facts dt { color: var(--quiet); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1.5rem 0 0; }
.tile { background: var(--raised); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; }
.tile dt { color: var(--quiet); font-size: .85rem; } .tile dd { margin: 0; font-size: 1.75rem; line-height: 1.3;
  font-variant-numeric: tabular-nums; } .tile p { margin: 0; color: var(--quiet); font-size: .82rem; }
.warning { background: var(--warn); border-left: 4px solid var(--warn-line); border-radius: .25rem; padding: .75rem 1rem;
  margin: 1.5rem 0; } .warning h3 { margin: 0 0 .25rem; } .warning ul { margin: 0; padding-left: 1.2rem; }
.warning li { overflow-wrap: anywhere; }
figure { margin: 1.25rem 0; } figcaption { font-weight: 600; margin-bottom: .25rem; }
.scroll { overflow-x: auto; } svg { display: block; width: 100%; min-width: 30rem; height: auto; }
svg text { fill: var(--quiet); font-size: 12px; font-family: inherit; } svg .name { fill: var(--ink); }
svg .grid { stroke: var(--grid); } svg .axis { stroke: var(--line); } svg .ideal { stroke: var(--quiet);
  stroke-dasharray: 2 4; fill: none; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.25rem; margin: 0 0 .35rem; padding: 0; list-style: none; }
.legend li { display: flex; align-items: center; gap: .4rem; color: var(--ink); font-size: .9rem; }
.legend svg { width: 28px; min-width: 28px; height: 14px; }
details { margin: .35rem 0; } summary { cursor: pointer; color: var(--quiet); font-size: .88rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; font-size: .93rem; }
th, td { text-align: left; padding: .32rem .9rem .32rem 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
th { color: var(--quiet); font-weight: 600; border-bottom-color: var(--line); } td.n, th.n { text-align: right; }
td.n { white-space: nowrap; }
.matrix th, .matrix td { border: 1px solid var(--ground); padding: .3rem .5rem; text-align: center; }
.matrix th[scope=row] { text-align: right; white-space: nowrap; } .matrix .right { outline: 1px solid var(--quiet);
  outline-offset: -2px; } .matrix td { min-width: 2.6rem; }
.aligned { display: flex; flex-wrap: wrap; gap: 0 1px; font-size: 1.12rem; line-height: 1.35; margin: .3rem 0 1rem; }
.aligned span { display: inline-grid; grid-template-rows: 1.4em 1.4em; justify-items: center; min-width: 1.35em; }
.aligned .wrong { background: color-mix(in srgb, var(--bad) 14%, transparent); border-radius: .2rem; }
.aligned .sound { background: color-mix(in srgb, var(--warn-line) 18%, transparent); border-radius: .2rem; }
.aligned b { font-weight: 400; color: var(--quiet); } .aligned .wrong i { color: var(--bad); font-style: normal; }
.aligned i { font-style: normal; } .clip { margin: 0; font-size: .88rem; color: var(--quiet); overflow-wrap: anywhere; }
@media print { main { max-width: none; padding: 0; } figure, .tile { break-inside: avoid; } }
""".strip()
