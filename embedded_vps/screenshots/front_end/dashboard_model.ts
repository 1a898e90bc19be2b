// What of the types that Grafana publishes a provisioned dashboard of this project must satisfy.

import type {Dashboard as Published, Panel as PublishedPanel, FieldConfig, FieldConfigSource} from "@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen.d.ts";
import type {DataQuery} from "@grafana/schema";
import type * as Stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen.d.ts";
import type * as StateTimeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen.d.ts";
import type * as Table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen.d.ts";
import type * as TimeSeries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts";

interface PrometheusQuery extends DataQuery { [more: string]: unknown }

type Panel<Type extends string, Options, Custom> = Omit<PublishedPanel, "type" | "options" | "fieldConfig" | "targets"> & {
  type: Type;
  options: Partial<Options>;
  targets: PrometheusQuery[];
  fieldConfig: {
    defaults: Omit<FieldConfig, "custom"> & {custom?: Partial<Custom>};
    overrides: FieldConfigSource["overrides"];
  };
};

// Read one by one, by a panel's type, an error names the key and not four types that it does not fit.
export type Page = Omit<Published, "panels"> & {panels: unknown[]};
export type StatPanel = Panel<"stat", Stat.Options, Record<string, never>>;
export type StateTimelinePanel = Panel<"state-timeline", StateTimeline.Options, StateTimeline.FieldConfig>;
export type TablePanel = Panel<"table", Table.Options, Table.FieldConfig>;
export type TimeSeriesPanel = Panel<"timeseries", TimeSeries.Options, TimeSeries.FieldConfig>;
