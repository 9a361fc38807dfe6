export default { initialize: () => ({ render: () => {} }) };
