import React from "react";
import {createRoot} from "react-dom/client";
import * as D from "@grafana/data";
import {BigValue, BigValueColorMode, BigValueGraphMode, BigValueTextMode, GlobalStyles, PanelChrome, PortalContainer, Table, TimeSeries} from "@grafana/ui";
import plotStyle from "uplot/dist/uPlot.min.css";

// Draws one of the provisioned dashboards: everything inside a panel is Grafana's own published code, fed with what
// Prometheus answers through Grafana's API. Only the page around the panels and the state timeline are drawn here.

const theme = D.createTheme({colors: {mode: "dark"}});
D.standardTransformersRegistry.setInit(() =>
  [D.standardTransformers.mergeTransformer, D.standardTransformers.organizeFieldsTransformer].map(t => ({id: t.id, name: t.name, transformation: t, editor: () => null})));
const OPTIONS = new D.FieldConfigOptionsRegistry(() => [
  ["unit", D.unitOverrideProcessor], ["decimals", D.numberOverrideProcessor], ["displayName", D.displayNameOverrideProcessor], ["min", D.numberOverrideProcessor],
  ["max", D.numberOverrideProcessor], ["links", D.dataLinksOverrideProcessor], ["thresholds", D.thresholdsOverrideProcessor], ["mappings", D.valueMappingsOverrideProcessor], ["color", D.identityOverrideProcessor], ["noValue", D.identityOverrideProcessor],
  ["custom.cellOptions", D.identityOverrideProcessor], ["custom.width", D.numberOverrideProcessor], ["custom.minWidth", D.numberOverrideProcessor],
].map(([id, process]) => ({id, path: id.replace("custom.", ""), isCustom: id.startsWith("custom."), name: id, process, override: () => null, editor: () => null, shouldApply: () => true})));

const api = async path => (await fetch(path)).json();
const query = async (path, args) => (await api(`/api/datasources/proxy/uid/prometheus/api/v1/${path}?${new URLSearchParams(args)}`)).data;
const parameters = new URLSearchParams(location.search);
const end = Math.floor(Date.now() / 1000), start = end - Number(parameters.get("hours") || 1) * 3600, step = Math.max(15, Math.round((end - start) / 240));
const range = {from: D.dateTime(start * 1000), to: D.dateTime(end * 1000), raw: {from: "now-1h", to: "now"}};

const phone = window.innerWidth < 769;

const legend = (text, labels) => text ? text.replace(/\{\{(\w+)\}\}/g, (_, name) => labels[name] || "") : undefined;

async function frames(panel, filled) {
  const table = panel.targets[0].format === "table", many = panel.targets.length > 1, found = [];
  for (const target of panel.targets) {
    if (target.instant) {
      const {result} = await query("query", {query: filled(target.expr), time: end});
      if (table) {
        const names = [...new Set(result.flatMap(r => Object.keys(r.metric)))].sort();
        if (result.length) found.push(D.toDataFrame({refId: target.refId, fields: [
          {name: "Time", type: D.FieldType.time, values: result.map(r => r.value[0] * 1000)},
          ...names.map(name => ({name, type: D.FieldType.string, values: result.map(r => r.metric[name])})),
          {name: many ? `Value #${target.refId}` : "Value", type: D.FieldType.number, values: result.map(r => +r.value[1])}]}));
      } else for (const r of result) found.push(D.toDataFrame({refId: target.refId, fields: [
        {name: "Time", type: D.FieldType.time, values: [r.value[0] * 1000]}, {name: "Value", type: D.FieldType.number, values: [+r.value[1]], labels: r.metric, config: {displayNameFromDS: legend(target.legendFormat, r.metric)}}]}));
    } else {
      const {result} = await query("query_range", {query: filled(target.expr), start, end, step});
      for (const r of result) {
        const at = new Map(r.values.map(([t, v]) => [Math.round(t), +v])), times = [], values = [];
        for (let t = start; t <= end; t += step) { times.push(t * 1000); values.push(at.has(t) ? at.get(t) : null); }
        found.push(D.toDataFrame({refId: target.refId, fields: [{name: "Time", type: D.FieldType.time, values: times},
          {name: "Value", type: D.FieldType.number, values, labels: r.metric, config: {displayNameFromDS: legend(target.legendFormat, r.metric)}}]}));
      }
    }
  }
  const changed = await new Promise((done, fail) => D.transformDataFrame(panel.transformations || [], found, {interpolate: x => x}).subscribe({next: done, error: fail}));
  const defaults = {...panel.fieldConfig.defaults};
  if (!defaults.color) defaults.color = {mode: panel.type === "timeseries" ? "palette-classic" : "thresholds"};
  if (panel.type === "timeseries") defaults.custom = {drawStyle: "line", lineWidth: 1, showPoints: "auto", pointSize: 5, fillOpacity: 0, axisPlacement: "auto", ...defaults.custom};
  return D.applyFieldOverrides({data: changed, fieldConfig: {defaults, overrides: panel.fieldConfig.overrides}, fieldConfigRegistry: OPTIONS, replaceVariables: x => x, theme, timeZone: "utc"});
}

// Grafana's state timeline is part of its server's front-end and in no package: a row a series, equal values in one bar.
function Timeline({data, width, height, silent}) {
  const rows = data.map(frame => ({name: D.getFieldDisplayName(frame.fields[1], frame, data), times: frame.fields[0].values, field: frame.fields[1]}));
  const left = Math.min(width * (phone ? 0.55 : 0.3), 8 + 7 * Math.max(...rows.map(row => row.name.length))), axis = 18, high = Math.min(34, (height - axis) / rows.length);
  const x = time => left + (time / 1000 - start) / (end - start) * (width - left), style = {fontSize: 11, fill: theme.colors.text.primary};
  const ticks = phone ? 3 : 6;
  return <svg width={width} height={height}>
    {rows.map(({name, times, field}, row) => {
      const bars = [];
      field.values.forEach((value, n) => {
        const last = bars[bars.length - 1], until = times[n] + step * 1000;
        if (value === null) return;
        if (last && last.value === value && last.until === times[n]) last.until = until; else bars.push({value, from: times[n], until});
      });
      return <g key={row} transform={`translate(0 ${row * high})`}>
        <text x={left - 6} y={high / 2 + 4} textAnchor="end" style={style}>{name}</text>
        {bars.map(({value, from, until}) => {
          const shown = field.display(value), wide = Math.max(1, Math.min(x(until), width) - x(from));
          return <g key={from}><rect x={x(from)} y={1} width={wide} height={high - 3} fill={shown.color} fillOpacity={0.7}/>
            {!silent && wide > 8 + 7 * shown.text.length && high > 13 ? <text x={x(from) + 4} y={high / 2 + 4} style={style}>{shown.text}</text> : null}</g>;
        })}</g>;
    })}
    {Array.from({length: ticks}, (_, n) => start + (n + 0.5) / ticks * (end - start)).map(time => <text key={time} x={x(time * 1000)} y={high * rows.length + 13} textAnchor="middle"
      style={{...style, fill: theme.colors.text.secondary}}>{D.dateTimeFormat(time * 1000, {format: "HH:mm", timeZone: "utc"})}</text>)}
  </svg>;
}

function draw(panel, data, width, height) {
  if (!data.length || !data.some(f => f.length)) return <div style={{display: "grid", placeItems: "center", height, color: theme.colors.text.secondary}}>{panel.fieldConfig.defaults.noValue || "No data"}</div>;
  if (panel.type === "stat") {
    const field = data[0].fields.find(f => f.type === "number"), value = field.display(field.values[field.values.length - 1]);
    return <BigValue value={value} width={width} height={height} theme={theme} colorMode={BigValueColorMode.Value} graphMode={BigValueGraphMode.None} textMode={BigValueTextMode.Auto}/>;
  }
  if (panel.type === "table") return <Table data={data[0]} width={width} height={height} initialSortBy={panel.options.sortBy}/>;
  if (panel.type === "timeseries") return <TimeSeries frames={data} structureRev={1} timeRange={range} timeZone="utc" width={width} height={height} replaceVariables={x => x}
    legend={panel.options.legend} options={{}}/>;
  return <Timeline data={data} width={width} height={height} silent={panel.options.showValue === "never"}/>;
}

function Panels({panels}) {
  const wide = Math.min(window.innerWidth, document.documentElement.clientWidth) - 16, cell = wide / 24;
  return <div style={{padding: 8, position: "relative", display: phone ? "flex" : "block", flexDirection: "column", gap: 8, height: phone ? "auto" : Math.max(...panels.map(([p]) => p.gridPos.y + p.gridPos.h)) * 38}}>
    {panels.map(([panel, data]) => {
      const place = panel.gridPos, width = Math.floor(phone ? wide : place.w * cell - 8), height = place.h * 38 - 8;
      return <div key={panel.id} style={phone ? {width, height} : {position: "absolute", left: 8 + place.x * cell, top: 8 + place.y * 38, width, height}}>
        <PanelChrome title={panel.title} width={width} height={height}>{(w, h) => draw(panel, data, w, h)}</PanelChrome></div>;
    })}</div>;
}

const FIELD = {height: 28, padding: "0 8px", color: "inherit", background: theme.components.input.background, border: `1px solid ${theme.components.input.borderColor}`};
const NAV = {display: "flex", flexWrap: "wrap", gap: 16, padding: "10px 8px 0", alignItems: "baseline"};

// What stands around the panels in Grafana, as far as one needs it: where one is, the other dashboards, which bot.
function Top({dashboard, others, bots, bot}) {
  const kept = uid => `/d/${uid}?${parameters}`;
  return <nav style={NAV}>
    <strong style={{fontSize: 18}}>{dashboard.title}</strong>
    {others.filter(other => other.uid !== dashboard.uid).map(other => <a key={other.uid} href={kept(other.uid)} style={{color: theme.colors.text.link}}>{other.title}</a>)}
    {bots.length ? <select value={bot} style={FIELD} onChange={event => { parameters.set("var-bot", event.target.value); location.search = parameters; }}>
      {bots.map(one => <option key={one}>{one}</option>)}</select> : null}
    <span style={{marginLeft: phone ? 0 : "auto", color: theme.colors.text.secondary}}>
      {D.dateTimeFormat(start * 1000, {timeZone: "utc"})} to {D.dateTimeFormat(end * 1000, {timeZone: "utc"})} UTC</span>
  </nav>;
}

(async () => {
  const uid = location.pathname.split("/")[2] || "fleet";
  const [others, {dashboard}] = await Promise.all([api("/api/search"), api(`/api/dashboards/uid/${uid}`)]);
  const chosen = dashboard.templating.list.find(variable => variable.name === "bot");
  const [, metric, label] = chosen ? chosen.query.query.match(/label_values\((\w+), (\w+)\)/) : [];
  const bots = chosen ? [...new Set((await query("series", {"match[]": metric, start, end})).map(series => series[label]))].sort() : [];
  const bot = parameters.get("var-bot") || bots[0];
  const filled = expression => expression.replace(/\$bot\b/g, bot);
  const panels = await Promise.all(dashboard.panels.map(async panel => [panel, await frames(panel, filled)]));
  document.title = dashboard.title;
  document.head.append(Object.assign(document.createElement("style"), {textContent: plotStyle + "body { margin: 0; }"}));
  createRoot(document.getElementById("root")).render(<D.ThemeContext.Provider value={theme}><GlobalStyles/>
    <Top {...{dashboard, others, bots, bot}}/><Panels panels={panels}/><PortalContainer/></D.ThemeContext.Provider>);
  // React has rendered by then, and uPlot and the tables, which wait for their own sizes, have drawn.
  setTimeout(() => { document.body.dataset.drawn = "yes"; }, 1500);
})();
