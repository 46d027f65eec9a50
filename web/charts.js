// The kinds of picture that the pages draw, and no more of ECharts than they take.
import {
  BarChart,
  EffectScatterChart,
  FunnelChart,
  LineChart,
  LinesChart,
  SankeyChart,
  ScatterChart,
} from "echarts/charts";
import {
  AriaComponent,
  DatasetComponent,
  GeoComponent,
  GridComponent,
  LegendComponent,
  TooltipComponent,
} from "echarts/components";
import { init, registerMap, use } from "echarts/core";
import { LabelLayout } from "echarts/features";
import { CanvasRenderer } from "echarts/renderers";

use([
  AriaComponent,
  BarChart,
  CanvasRenderer,
  DatasetComponent,
  EffectScatterChart,
  FunnelChart,
  GeoComponent,
  GridComponent,
  LabelLayout,
  LegendComponent,
  LineChart,
  LinesChart,
  SankeyChart,
  ScatterChart,
  TooltipComponent,
]);

export { init, registerMap };
