import { loadBundle } from "@web/core/assets";
import { registry } from "@web/core/registry";
import { Interaction } from "@web/public/interaction";

// The last one is of the others together.
const COLORS = ["#35618f", "#b3541e", "#3b7d4f", "#8a3b7d", "#7a6a1f", "#1f7a8c", "#5b5b5b"];

/** Draws a chart from the JSON beside it; a table on the page says the same. */
export class ResellerChart extends Interaction {
    static selector = ".o_reseller_chart";

    async willStart() {
        await loadBundle("web.chartjs_lib");
    }

    start() {
        const { labels, datasets } = JSON.parse(this.el.dataset.chart);
        const canvas = this.el.querySelector("canvas");
        const chart = new Chart(canvas, {
            type: this.el.dataset.type || "bar",
            data: {
                labels,
                datasets: datasets.map((one, number) => ({
                    ...one,
                    backgroundColor: COLORS[number % COLORS.length],
                    borderColor: COLORS[number % COLORS.length],
                    pointRadius: 0,
                })),
            },
            options: {
                maintainAspectRatio: false,
                animation: false,
                plugins: { legend: { display: datasets.length > 1, position: "bottom" } },
                scales: { y: { beginAtZero: true } },
            },
        });
        this.registerCleanup(() => chart.destroy());
    }
}

/** Shows a statement as the form beside it would have it, while it is filled in. */
export class ResellerBrandPreview extends Interaction {
    static selector = ".o_reseller_brand_form";
    dynamicContent = {
        _root: { "t-on-input": this.debounced(this.show, 400) },
    };

    start() {
        this.show();
    }

    async show() {
        const response = await this.waitFor(
            fetch(this.el.dataset.preview, { method: "POST", body: new FormData(this.el) })
        );
        if (response.ok) {
            document.querySelector(".o_reseller_preview").srcdoc = await response.text();
        }
    }
}

/** Fills in what is not billed yet, for which all clients are rated: the page does not wait. */
export class ResellerUnbilled extends Interaction {
    static selector = ".o_reseller_unbilled";

    start() {
        this.show();
    }

    async show() {
        const response = await this.waitFor(fetch(this.el.dataset.url));
        const { now, before } = response.ok ? await response.json() : { now: "–", before: "–" };
        this.el.querySelector(".o_now").textContent = now;
        this.el.querySelector(".o_before").textContent = before;
    }
}

/** Ticks all clients of the page at once, and shows what can be done with those that are ticked. */
export class ResellerTickAll extends Interaction {
    static selector = ".o_reseller_clients";
    dynamicContent = {
        ".o_reseller_all": { "t-on-change": this.tick },
        "input[name=client], .o_reseller_every": { "t-on-change": this.count },
    };

    start() {
        this.count();
    }

    get boxes() {
        return [...this.el.querySelectorAll("input[name=client]")];
    }

    tick(ev) {
        for (const box of this.boxes) {
            box.checked = ev.target.checked;
        }
        this.count();
    }

    count() {
        const bar = this.el.querySelector(".o_reseller_bulk");
        if (!bar) {
            return;
        }
        const every = this.el.querySelector(".o_reseller_every");
        const ticked = this.boxes.filter((box) => box.checked).length;
        if (every && ticked < this.boxes.length) {
            every.checked = false;
        }
        bar.classList.toggle("d-none", !ticked);
        bar.querySelector(".o_reseller_chosen").textContent = every && every.checked ? every.dataset.count : ticked;
    }
}

const interactions = registry.category("public.interactions");
interactions.add("reseller_billing.chart", ResellerChart);
interactions.add("reseller_billing.brand_preview", ResellerBrandPreview);
interactions.add("reseller_billing.unbilled", ResellerUnbilled);
interactions.add("reseller_billing.tick_all", ResellerTickAll);
