// The story with strong-soap: types and operations come from the WSDL when the program runs.
import { createRequire } from "node:module";

const { soap } = createRequire(import.meta.url)("strong-soap");
const { LICENTIA_URL, RUN, SOAP_AUTH, SOAP_VERSION } = process.env;

async function client(service) {
  const key = process.env["KEY_" + service.toUpperCase()];
  const [, id, ...rest] = key.split("_");
  const secret = rest.join("_");
  const wsdl = `${LICENTIA_URL}/soap/${service}?${SOAP_VERSION === "1.2" ? "wsdl12" : "wsdl"}`;
  const made = await new Promise((resolve, reject) =>
    soap.createClient(wsdl, {}, (error, client) => error ? reject(error) : resolve(client)));
  made.setSecurity({
    basic: () => new soap.BasicAuthSecurity(id, secret),
    bearer: () => new soap.BearerSecurity(key),
    text: () => new soap.WSSecurity(id, secret, { passwordType: "PasswordText" }),
    digest: () => new soap.WSSecurity(id, secret, { passwordType: "PasswordDigest" }),
  }[SOAP_AUTH]());
  const name = service[0].toUpperCase() + service.slice(1);
  const port = made[`${name}Service`][name + (SOAP_VERSION === "1.2" ? "Soap12" : "Soap11")];
  return (operation, fields) =>
    new Promise((resolve, reject) => port[operation](fields, (error, reply) => error ? reject(error) : resolve(reply)));
}

const say = (step, value) => console.log(`${step}=${value}`);

async function refusal(promise) {
  const fault = await promise.then(() => { throw new Error("no fault"); }, (error) => error.root.Envelope.Body.Fault);
  return (fault.detail ?? fault.Detail).LicensingFault;
}

const [admin, sales, depot, licensing] = await Promise.all(["admin", "sales", "depot", "licensing"].map(client));

const item = { productCode: RUN, quantity: 3, features: ["x", "y"] };
const product = await admin("PutProduct", { sku: RUN, name: "Ä & <b>", items: [item] });
say("product.created", product.created);
say("product.name", product.name);
say("product.features", product.items[0].features.join(" "));

const order = {
  source: "interop", orderNumber: RUN,
  customer: { id: "c1", name: "Ünal & Söhne <GmbH>" },
  lines: [{ lineId: "1", sku: RUN, quantity: 1 }],
};
const first = await sales("CreateOrder", order);
const again = await sales("CreateOrder", order);
say("order.created", first.created);
say("order.ticket", first.ticket);
say("repeat.created", again.created);
say("repeat.ticket", again.ticket);
order.lines[0].sku = "a b";
const wrong = await refusal(sales("CreateOrder", order));
say("invalid.code", wrong.code);
say("invalid.pointer", [wrong.errors].flat()[0].pointer);

const ticket = await depot("GetTicket", { code: first.ticket });
say("ticket.customer", ticket.customer);
say("ticket.available", ticket.licenses[0].available);
const container = { kind: "cloud-lite", user: RUN };
say("activation.state", (await depot("ActivateTicket", { code: first.ticket, container })).state);

const checkout = (number) =>
  licensing("CheckoutLicense", { leaseId: `${RUN}-${number}`, productCode: RUN, user: RUN });
const leases = [await checkout(1), await checkout(2), await checkout(3)];
say("checkout.seats", leases.map((lease) => lease.seatsInUse).join(" "));
say("checkout.seconds", Math.round((new Date(leases[0].expiresAt) - new Date(leases[0].grantedAt)) / 1000));
say("refusal.code", (await refusal(checkout(4))).code);
say("renewal.created", (await checkout(1)).created);

const held = async () =>
  (await licensing("ListLeases", { productCode: RUN })).leases.map((lease) => lease.leaseId.at(-1)).sort().join(" ");
say("leases", await held());
await licensing("ReleaseLease", { leaseId: `${RUN}-1` });
say("released", await held());
