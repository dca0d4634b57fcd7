// SAP's mock server for the service of sales orders. Arguments: the service's metadata, and a folder with its rows.
// Prints its port and ends with its standard input.
const http = require("http");
const Mockserver = require("@sap-ux/fe-mockserver-core").default;

const [metadataPath, mockdataPath] = process.argv.slice(2);
const urlPath = "/sap/opu/odata/sap/API_SALES_ORDER_SRV";
const mock = new Mockserver({ services: [{ urlPath, metadataPath, mockdataPath }], annotations: [] });

mock.isReady.then(() => {
  const router = mock.getRouter();
  const server = http.createServer((request, response) => {
    // It reads a literal of `datetime` only, and finds nothing for one of `datetimeoffset`.
    request.url = request.url.replace(/datetimeoffset(%27|')/g, "datetime$1");
    router(request, response, () => response.writeHead(404).end());
  });
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
});
process.stdin.resume().on("end", () => process.exit(0));
